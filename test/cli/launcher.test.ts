import { copyFileSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { createFolder } from '../helpers/broker.ts'
import { until } from '../helpers/redis.ts'
import { json, latchkey, startImpostor, startProgram } from './rig.ts'

const root = path.join(import.meta.dirname, '../..')
const launcher = path.join(root, 'src/cli/latchkey')

t.test('the launcher runs from anywhere, by a link, and where the machine\'s Node is too old', async (t) => {
  const folder = createFolder(t)
  symlinkSync(launcher, path.join(folder, 'latchkey'))
  const bin = createFolder(t)
  for (const tool of ['sh', 'dirname', 'readlink']) symlinkSync(path.join('/usr/bin', tool), path.join(bin, tool))
  const ended = await startProgram(t, ['/bin/sh', path.join(folder, 'latchkey'), 'whoami', '--help'], { env: { PATH: bin }, cwd: '/' }).ended
  t.match(ended, { code: 0, out: /^usage: latchkey whoami/, words: '' })
})

t.test('without a Node that can, the launcher says what to do', async (t) => {
  const folder = createFolder(t)
  copyFileSync(launcher, path.join(folder, 'latchkey'))
  for (const version of ['v20.20.2', 'v22.3.0', '']) {
    writeFileSync(path.join(folder, 'node'), `#!/bin/sh\necho ${version}\n`, { mode: 0o755 })
    const ended = await startProgram(t, ['/bin/sh', path.join(folder, 'latchkey'), 'status'], { env: { PATH: `${folder}:/usr/bin:/bin` } }).ended
    t.match(ended, { code: 1, out: '', words: /needs Node 24 or later: run npm ci/ }, version)
  }
})

t.test('help is found in every way that somebody tries, and a command without -- is told where it goes', async (t) => {
  const run = (...words: string[]) => latchkey(t, words)
  for (const words of [['exec', '--help'], ['exec', '-h'], ['help', 'exec'], ['--help', 'exec']]) t.match(await run(...words), { code: 0, out: /^usage: latchkey exec /, words: '' })
  for (const words of [['--help'], ['-h'], ['help']]) t.match(await run(...words), { code: 0, out: /^usage: latchkey <command>/ })
  t.match(await run('exec', '--role', 'x', 'aws', 's3'), { code: 2, words: /exec takes its command after --; see latchkey exec --help/ })
})

t.test('SEC-338 what makes Node tell of its connections does not make it tell secrets', async (t) => {
  const broker = await startImpostor(t, (_request, response) => json(response, 403, { errors: ['permission denied'] }))
  const ended = await startProgram(t, [launcher, 'read', 'secret/a', '--no-resolve'], { env: { LATCHKEY_ADDR: broker.address, LATCHKEY_TOKEN: 'CNRYtoken-of-mine', NODE_DEBUG: 'http,net,tls', HOME: createFolder(t) } }).ended
  t.match(ended, { code: 3, out: '', words: 'latchkey: GET secret/a: permission denied (403)\n' })
})

t.test('SEC-348 nothing runs when it is installed, nothing updates itself, and nothing is published', async (t) => {
  const { private: isPrivate, scripts, bin } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  t.equal(isPrivate, true)
  t.strictSame(Object.keys(scripts).filter((name) => /install|prepare|pack|publish/.test(name)), [])
  t.strictSame(bin, { latchkey: 'src/cli/latchkey' })
  const { out } = await startProgram(t, [launcher, '--help'], {}).ended
  t.notMatch(out, /update|upgrade|completion/)
})

t.test('SEC-349 the process opens no inspector on SIGUSR1, dumps no core and writes no environment into reports', async (t) => {
  let answer = () => {}
  const broker = await startImpostor(t, (_request, response) => { answer = () => json(response, 200, {}) })
  const running = startProgram(t, [launcher, 'status'], { env: { LATCHKEY_ADDR: broker.address } })
  await until('it asks', () => broker.seen.length === 1)
  const of = (name: string) => readFileSync(`/proc/${String(running.child.pid)}/${name}`, 'utf8')
  t.match(of('limits'), /^Max core file size +0 /m)
  t.match(of('cmdline').split('\0'), /--report-exclude-env/)
  running.child.kill('SIGUSR1')
  answer()
  t.match(await running.ended, { code: 0, words: '' })
})
