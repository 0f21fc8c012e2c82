// Judges documents of structured text: one a line on standard input, the judge's verdict a line on standard output.

import { createInterface } from 'node:readline';
import { validate } from 'datocms-structured-text-utils';

for await (const line of createInterface({ input: process.stdin })) {
  const result = validate(JSON.parse(line));
  console.log(JSON.stringify(result.valid ? null : result.message));
}
