import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { draftPrivateFile, ensurePrivateFile, findPrivateFile, preparePrivateFolder, readGivenFile, writePrivateFile } from '../../src/cli/private-file.ts'
import { createFolder } from '../helpers/broker.ts'

const isRoot = process.getuid?.() === 0
const usage = { name: 'Failure', kind: 'usage' }

/** A folder with one of everything that may stand where a token file should. */
function furnish (t: Test) {
  const folder = createFolder(t)
  const place = (name: string) => path.join(folder, name)
  writeFileSync(place('good'), 'secret', { mode: 0o600 })
  writeFileSync(place('victim'), 'keep me', { mode: 0o600 })
  symlinkSync(place('victim'), place('link'))
  symlinkSync(place('nowhere'), place('dangling'))
  mkdirSync(place('folder'))
  writeFileSync(place('wide'), 'x', { mode: 0o600 })
  chmodSync(place('wide'), 0o640)
  writeFileSync(place('setuid'), 'x', { mode: 0o600 })
  chmodSync(place('setuid'), 0o4600)
  const bad = ['link', 'dangling', 'folder', 'setuid']
  if (isRoot) {
    writeFileSync(place('foreign'), 'x', { mode: 0o600 })
    chownSync(place('foreign'), 65534, 65534)
    bad.push('foreign')
  }
  return { folder, place, bad }
}

t.test('SEC-332 only a file of our own, of mode 0600 and no link, is read as a secret', async (t) => {
  const { place, bad } = furnish(t)
  t.match(await findPrivateFile(place('good')), { text: 'secret' })
  t.equal(await findPrivateFile(place('missing')), null)
  for (const name of [...bad, 'wide']) await t.rejects(findPrivateFile(place(name)), usage, name)
  writeFileSync(place('large'), Buffer.alloc(70_000), { mode: 0o600 })
  await t.rejects(findPrivateFile(place('large')), /larger than/)
})

t.test('SEC-332 SEC-333 a file is written beside its place and renamed; links, folders and what has a setuid bit are refused and unharmed', async (t) => {
  const { folder, place, bad } = furnish(t)
  const before = readdirSync(folder).sort()
  for (const name of bad) await t.rejects(writePrivateFile(place(name), 'new'), usage, name)
  t.strictSame(readdirSync(folder).sort(), before, 'nothing is left')
  t.equal(readFileSync(place('victim'), 'utf8'), 'keep me')
  await writePrivateFile(place('wide'), 'new')
  t.equal(lstatSync(place('wide')).mode & 0o7777, 0o600, 'a file of ours is replaced by one of mode 0600')
  const umask = process.umask(0o777)
  await writePrivateFile(place('strict'), 'new').finally(() => process.umask(umask))
  t.match(await findPrivateFile(place('strict')), { text: 'new' }, 'whatever the umask')
})

t.test('SEC-332 a crash half-way leaves the former file whole', async (t) => {
  const { place } = furnish(t)
  await draftPrivateFile(place('good'))
  t.match(await findPrivateFile(place('good')), { text: 'secret' }, 'until it is committed')
  const draft = await draftPrivateFile(place('good'))
  await draft.commit('new')
  t.match(await findPrivateFile(place('good')), { text: 'new' })
})

t.test('SEC-333 a folder that others may change, or a link to one, is not written to', async (t) => {
  const { place } = furnish(t)
  chmodSync(place('folder'), 0o777)
  await t.rejects(writePrivateFile(path.join(place('folder'), 'token'), 'x'), /others may change what is in it/)
  chmodSync(place('folder'), 0o1777)
  await writePrivateFile(path.join(place('folder'), 'token'), 'x')
  chmodSync(place('folder'), 0o700)
  symlinkSync(place('folder'), place('folder-link'))
  await t.rejects(preparePrivateFolder(place('folder-link')), /a link to one/)
  await writePrivateFile(path.join(place('made'), 'deep', 'token'), 'x')
  t.equal(lstatSync(path.join(place('made'), 'deep')).mode & 0o777, 0o700)
})

t.test('a file that was given may be a link, as in a container, but not one that anybody reads', async (t) => {
  const { place } = furnish(t)
  t.equal(await readGivenFile(place('link'), 'secret'), 'keep me')
  chmodSync(place('victim'), 0o440)
  t.equal(await readGivenFile(place('link'), 'secret'), 'keep me', 'a group may be meant')
  for (const mode of [0o444, 0o620, 0o602]) {
    chmodSync(place('victim'), mode)
    await t.rejects(readGivenFile(place('link'), 'secret'), /anybody may read or change it/, mode.toString(8))
  }
  t.equal(await readGivenFile(place('wide'), 'public'), 'x')
  await t.rejects(readGivenFile(place('folder'), 'public'), /no file/)
  await t.rejects(readGivenFile(place('missing'), 'public'), /there is no such file/)
})

t.test('what the system refuses is told in words', async (t) => {
  const folder = createFolder(t)
  writeFileSync(path.join(folder, 'file'), 'x', { mode: 0o600 })
  await t.rejects(findPrivateFile(path.join(folder, 'file', 'token')), /cannot be used: a part of its path is no folder$/)
  await t.rejects(writePrivateFile(path.join(folder, 'file', 'token'), 'x'), /cannot be used: /)
})

t.test('a lock file is made once, however many make it', async (t) => {
  const { place } = furnish(t)
  await Promise.all(Array.from({ length: 10 }, () => ensurePrivateFile(place('lock'))))
  const { ino } = lstatSync(place('lock'))
  await ensurePrivateFile(place('lock'))
  t.equal(lstatSync(place('lock')).ino, ino)
  await t.rejects(ensurePrivateFile(place('link')), usage)
})
