import { readFileSync, statSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { createLogger } from '../../config/logger.ts'
import { loadConfig } from '../../config/config.ts'
import { writeRootToken } from '../../src/provision.ts'
import { createFolder } from '../helpers/broker.ts'
import { createRig, type Rig } from './rig.ts'

const write = (rig: Rig, file: string) => {
  const config = loadConfig({ LATCHKEY_ROOT_TOKEN_FILE: file }, ['--development'])
  return writeRootToken(rig.app, config, createLogger('fatal'))
}

const tokens = async ({ app }: Rig) => (await app.tokens.accessors(undefined)).accessors.length

t.test('SEC-332 a root token is written once, for its owner only, and followed through no link', async (t) => {
  const rig = await createRig(t)
  const folder = createFolder(t)
  const file = path.join(folder, 'root')
  await write(rig, file)
  t.equal(statSync(file).mode & 0o777, 0o600)
  const clientToken = readFileSync(file, 'utf8').trim()
  t.match(await rig.ask('read', 'sys/mounts', { clientToken }), { code: 'ok' })
  await write(rig, file)
  t.equal(readFileSync(file, 'utf8').trim(), clientToken, 'a file that is there stays')
  const link = path.join(folder, 'link')
  symlinkSync(path.join(folder, 'elsewhere'), link)
  await t.rejects(write(rig, link), { code: 'EEXIST' })
})

t.test('where a root token cannot be written none is left', async (t) => {
  const rig = await createRig(t)
  const before = await tokens(rig)
  await t.rejects(write(rig, path.join(createFolder(t), 'missing', 'root')), { code: 'ENOENT' })
  t.equal(await tokens(rig), before)
})
