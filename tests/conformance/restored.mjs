// Reads all records as a user of DatoCMS's client does: the newest versions, then the live ones, with their blocks.

import { all, client } from './harness.mjs';

const dato = client();
const read = (version) => all(dato.items.listPagedIterator({ nested: true, version }, { perPage: 30 }));

console.log(JSON.stringify({ current: await read('current'), published: await read('published') }));
