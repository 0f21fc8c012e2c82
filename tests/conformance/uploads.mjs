// The media area: a local file becomes an upload, which is described, replaced, found, named by records, and destroyed.

import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateId } from '@datocms/cma-client-node';
import { assert, check, client, refused, run } from './harness.mjs';

const dato = client();
const models = Object.fromEntries((await dato.itemTypes.list()).map((model) => [model.api_key, model]));
const folder = await mkdtemp(join(tmpdir(), 'uploads-'));

/** A file with the header of a picture in it; `salt` makes its bytes its own. */
async function picture(name, width, height, salt = name) {
  const header = Buffer.alloc(25);
  header.writeUInt32BE(13, 0);
  header.write('IHDR', 4);
  header.writeUInt32BE(width, 8);
  header.writeUInt32BE(height, 12);
  const path = join(folder, name);
  await writeFile(path, Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), header, Buffer.from(salt)]));
  return path;
}

check('a local picture becomes an upload', async () => {
  const steps = new Set();
  const upload = await dato.uploads.createFromLocalFile({
    localPath: await picture('first.png', 320, 200), tags: ['ours'], onProgress: ({ type }) => steps.add(type),
  });
  assert.deepEqual([...steps], ['REQUESTING_UPLOAD_URL', 'UPLOADING_FILE', 'CREATING_UPLOAD_OBJECT']);
  assert.deepEqual([upload.width, upload.height, upload.format, upload.mime_type], [320, 200, 'png', 'image/png']);
  assert.ok(upload.path.endsWith('-first.png'));
  assert.deepEqual(upload.tags, ['ours']);
  assert.deepEqual(await dato.uploads.find(upload.id), upload);
});

check('an upload may bring its id', async () => {
  const id = generateId();
  const upload = await dato.uploads.createFromLocalFile({ id, localPath: await picture('own-id.png', 1, 1) });
  assert.equal(upload.id, id);
});

check('a file that is there already is not uploaded again', async () => {
  const file = { localPath: await picture('twice.png', 2, 2), skipCreationIfAlreadyExists: true };
  const [once, again] = [await dato.uploads.createFromLocalFile(file), await dato.uploads.createFromLocalFile(file)];
  assert.equal(again.id, once.id);
});

check('a file is replaced, and described anew', async () => {
  const upload = await dato.uploads.createFromLocalFile({ localPath: await picture('old.png', 3, 3), author: 'Ann' });
  const changed = await dato.uploads.updateFromLocalFile(upload.id, { localPath: await picture('new.png', 4, 5), notes: 'n' });
  assert.deepEqual([changed.id, changed.width, changed.height, changed.author, changed.notes], [upload.id, 4, 5, 'Ann', 'n']);
  assert.ok(changed.path.endsWith('-new.png'));
});

check('the records that name an upload are found', async () => {
  const upload = await dato.uploads.createFromLocalFile({ localPath: await picture('named.png', 6, 6) });
  const item_type = { type: 'item_type', id: models.article.id };
  const record = await dato.items.create({ item_type, title: { en: 'Pictured' }, cover: { upload_id: upload.id } });
  assert.deepEqual((await dato.uploads.references(upload.id)).map(({ id }) => id), [record.id]);
});

check('an upload is destroyed', async () => {
  const upload = await dato.uploads.createFromLocalFile({ localPath: await picture('gone.png', 7, 7) });
  assert.equal((await dato.uploads.destroy(upload.id)).id, upload.id);
  await refused(dato.uploads.find(upload.id), 'NOT_FOUND', 404);
});

check('only videos have tracks', async () => {
  const upload = await dato.uploads.createFromLocalFile({ localPath: await picture('still.png', 8, 8) });
  const track = { url_or_upload_request_id: upload.url, type: 'subtitles', language_code: 'it-IT' };
  await refused(dato.uploadTracks.create(upload.id, track), 'NOT_A_VIDEO', 422);
});

await run();
