import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { endIn } from '../../src/cli/credentials.ts'
import { openSinks } from '../../src/cli/sinks.ts'
import { createFolder } from '../helpers/broker.ts'
import { latchkey, testParts } from './rig.ts'

function credentials (n: number) {
  const { parts } = testParts()
  return { accessKeyId: `ASIA${n}`, secretAccessKey: `secret${n}`, sessionToken: `token${n}`, leaseId: 'x', lifeMs: 1, end: endIn(1, parts) }
}

t.test('SEC-333 files have fixed names, stay in their folder, are of mode 0600, and appear whole', async (t) => {
  const folder = path.join(createFolder(t), 'sinks')
  const { parts } = testParts()
  const sinks = await openSinks(folder, ['credentials', 'token'], parts)
  sinks.give(credentials(1))
  sinks.giveToken('the-token')
  t.ok(await sinks.settle())
  t.strictSame(readdirSync(folder).sort(), ['credentials', 'token'])
  t.equal(lstatSync(path.join(folder, 'credentials')).mode & 0o7777, 0o600)
  t.equal(readFileSync(path.join(folder, 'credentials'), 'utf8'), '[default]\naws_access_key_id = ASIA1\naws_secret_access_key = secret1\naws_session_token = token1\n')
  t.equal(readFileSync(path.join(folder, 'token'), 'utf8'), 'the-token')
  const { ino } = lstatSync(path.join(folder, 'credentials'))
  for (let n = 2; n < 50; n++) {
    sinks.give(credentials(n))
    const seen = readFileSync(path.join(folder, 'credentials'), 'utf8')
    t.match(seen, /^\[default\]\naws_access_key_id = ASIA(\d+)\naws_secret_access_key = secret\1\naws_session_token = token\1\n$/)
  }
  await sinks.settle()
  t.not(lstatSync(path.join(folder, 'credentials')).ino, ino, 'each is another file, renamed into place')
  sinks.give(null)
  sinks.giveToken(null)
  await sinks.settle()
  t.strictSame(readdirSync(folder), [])
})

t.test('SEC-333 other names, and folders or files that are not ours alone, are refused', async (t) => {
  for (const name of ['../token', '/etc/passwd', 'a/b', 'token\0', '', 'Credentials']) {
    const refused = await latchkey(t, ['sidecar', '--role', 'r', '--sink-folder', createFolder(t), `--sink=${name.replace('\0', '%00')}`])
    t.match(refused, { code: 2, words: /takes --sink credentials, token/ }, JSON.stringify(name))
  }
  const { parts, said } = testParts()
  const folder = createFolder(t)
  chmodSync(folder, 0o777)
  await t.rejects(openSinks(folder, ['token'], parts), /others may change what is in it/)
  chmodSync(folder, 0o700)
  symlinkSync(folder, `${folder}-link`)
  t.teardown(() => rmSync(`${folder}-link`))
  await t.rejects(openSinks(`${folder}-link`, ['token'], parts), /a link to one/)
  await t.rejects(openSinks(folder, [], parts), /go together/)
  await t.rejects(openSinks(null, ['token'], parts), /go together/)
  const victim = path.join(createFolder(t), 'victim')
  writeFileSync(victim, 'keep me', { mode: 0o600 })
  const sinks = await openSinks(folder, ['credentials', 'token'], parts)
  symlinkSync(victim, path.join(folder, 'credentials'))
  sinks.give(credentials(1))
  t.notOk(await sinks.settle())
  rmSync(path.join(folder, 'credentials'))
  writeFileSync(path.join(folder, 'credentials'), 'x', { mode: 0o600 })
  chmodSync(path.join(folder, 'credentials'), 0o4600)
  t.notOk(await sinks.settle())
  t.equal(readFileSync(victim, 'utf8'), 'keep me')
  t.equal(said.length, 1, 'it is told once')
  rmSync(path.join(folder, 'credentials'))
  t.ok(await sinks.settle(), 'and done when it can be')
  t.match(readFileSync(path.join(folder, 'credentials'), 'utf8'), 'ASIA1')
  rmSync(folder, { recursive: true })
  mkdirSync(`${folder}-elsewhere`)
  t.teardown(() => rmSync(`${folder}-elsewhere`, { recursive: true }))
  symlinkSync(`${folder}-elsewhere`, folder)
  sinks.give(credentials(2))
  t.notOk(await sinks.settle(), 'a folder that became a link')
  t.strictSame(readdirSync(`${folder}-elsewhere`), [])
})
