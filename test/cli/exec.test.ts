import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { until } from '../helpers/redis.ts'
import { createFolder } from '../helpers/broker.ts'
import { noPython, python } from './programs.ts'
import { canary, identify, json, start, startBench, startImpostor, startProgram } from './rig.ts'

t.setTimeout(180_000)
const main = path.join(import.meta.dirname, '../../src/cli/main.ts')

/** A child that says that it runs, tells the signals that it gets, and ends with 42 on the last. */
const listener = 'for (const name of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2"]) process.on(name, () => { console.log(name); if (name === "SIGTERM") process.exit(42) }); setInterval(() => {}, 1000); console.log("runs")'

t.test('exec', async (t) => {
  const bench = await startBench(t)
  const { broker, emulator, run, home } = bench
  const identity = await bench.identity({ num_uses: 40, metadata: '{"run_id":"run-8"}' })
  const exec = (...words: string[]) => run(['exec', '--role', 'ec2-only', ...words], { env: identity })
  const counts = () => [bench.asked('update', 'auth/approle/login'), bench.asked('update', 'auth/token/revoke-self')]

  await t.test('a command gets credentials, ends with its own code, and the token ends with it', async (t) => {
    const before = counts()
    const { code, out, words } = await exec('--region', 'eu-west-1', '--', 'sh', '-c', 'env; exit 7')
    t.match({ code, words }, { code: 7, words: '' })
    const env = Object.fromEntries(out.trim().split('\n').map((line) => line.split(/=(.*)/s).slice(0, 2)))
    t.match(await identify(emulator, { accessKeyId: env.AWS_ACCESS_KEY_ID, secretAccessKey: env.AWS_SECRET_ACCESS_KEY, sessionToken: env.AWS_SESSION_TOKEN }), /\/run-8\./)
    t.equal(env.AWS_REGION, 'eu-west-1')
    t.strictSame(counts(), before.map((count) => count + 1), 'one login, one logout')
    const sessions = await broker.must('GET', 'sys/latchkey/sessions?run=run-8')
    t.match(sessions.text, /"lease_state":"revoked"|"revocation"/, 'and its lease with it')
  })

  await t.test('SEC-341 nothing of what we log in with reaches the command, nor what would hide its credentials', async (t) => {
    const { out } = await run(['exec', '--role', 'ec2-only', '--', 'env'], {
      env: { ...identity, LATCHKEY_TOKEN: '', AWS_PROFILE: 'other', AWS_WEB_IDENTITY_TOKEN_FILE: '/x', AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1:1', AWS_SECURITY_TOKEN: 'old', OTHER: 'kept' }
    })
    t.notMatch(out, /^(?:LATCHKEY_(?:TOKEN|ROLE_ID|SECRET_ID)=|AWS_PROFILE|AWS_WEB|AWS_CONTAINER|AWS_SECURITY)/m)
    t.match(out, /^OTHER=kept$/m)
  })

  await t.test('SEC-341 exit codes are those of a shell', async (t) => {
    t.equal((await exec('--', 'sh', '-c', 'kill -KILL $$')).code, 137)
    t.match(await exec('--', path.join(home, 'missing')), { code: 127, words: /there is no such command/ })
    t.match(await exec('--', home), { code: 126, words: /cannot be run: EACCES/ })
    t.equal((await exec('--', 'sh', '-c', 'sh -c "sleep 3" >/dev/null 2>&1 & exit 3')).code, 3, 'what it leaves behind is not waited for')
    t.match(await run(['exec', '--role', 'ec2-only'], { env: identity }), { code: 2, words: /needs a command after --/ })
    t.match(await run(['exec', '--', 'true'], { env: identity }), { code: 2, words: /name a --role or a --secret/ })
    t.match(await run(['exec', '--role', 'other', '--', 'sh', '-c', 'echo ran'], { env: identity }), { code: 3, out: '' }, 'without credentials nothing runs')
  })

  await t.test('SEC-341 signals are passed on, and what was fetched is ended after them', async (t) => {
    const before = counts()
    const running = bench.start(['exec', '--role', 'ec2-only', '--', process.execPath, '-e', listener], { env: identity })
    await until('it runs', () => running.out().includes('runs'))
    for (const [signal, n] of [['SIGINT', 1], ['SIGHUP', 2], ['SIGUSR2', 3]] as const) {
      running.child.kill(signal)
      await until(signal, () => running.out().trim().split('\n').length > n)
    }
    running.child.kill('SIGTERM')
    t.match(await running.ended, { code: 42, out: 'runs\nSIGINT\nSIGHUP\nSIGUSR2\nSIGTERM\n', words: '' })
    t.strictSame(counts(), before.map((count) => count + 1))
  })

  await t.test('SEC-341 at a terminal Ctrl-C reaches the command once', { skip: noPython }, async (t) => {
    const once = 'let n = 0; process.on("SIGINT", () => { n++; setTimeout(() => { console.log(`got ${n}`); process.exit(5) }, 700) }); setInterval(() => {}, 1000); console.log("runs")'
    const words = [python ?? '', path.join(import.meta.dirname, 'terminal.py'), process.execPath, main, 'exec', '--role', 'ec2-only', '--', process.execPath, '-e', once]
    const { code, out } = await startProgram(t, words, { env: { ...bench.env, ...identity, ANSWERS: JSON.stringify([['runs\r\n', '\u0003']]) } }).ended
    t.match(out, /got 1\r?\n/)
    t.equal(code, 5)
  })

  await t.test('SEC-341 a parent that is killed leaves nothing on the disk, and its own environment holds no credentials', async (t) => {
    const before = readdirSync(home, { recursive: true }).sort()
    const running = bench.start(['exec', '--role', 'ec2-only', '--', process.execPath, '-e', `console.log(process.env.AWS_SECRET_ACCESS_KEY); setTimeout(() => {}, 20_000); process.on("SIGHUP", () => {})`], { env: identity })
    await until('it runs', () => running.out().includes('\n'))
    const secret = running.out().trim()
    t.match(secret, /^.{40}$/)
    t.notOk(readFileSync(`/proc/${String(running.child.pid)}/environ`, 'latin1').includes(secret))
    t.notOk(readFileSync(`/proc/${String(running.child.pid)}/cmdline`, 'latin1').includes(secret))
    const children = readFileSync(`/proc/${String(running.child.pid)}/task/${String(running.child.pid)}/children`, 'utf8').trim()
    running.child.kill('SIGKILL')
    if (children !== '') process.kill(Number(children), 'SIGKILL')
    t.match(await running.ended, { signal: 'SIGKILL', words: '' })
    t.strictSame(readdirSync(home, { recursive: true }).sort(), before)
  })

  await t.test('a token that was given is not ended, and the lease is', async (t) => {
    t.equal((await run(['login'], { env: identity })).code, 0)
    const before = [bench.asked('update', 'sys/leases/revoke'), ...counts()]
    t.equal((await run(['exec', '--role', 'ec2-only', '--', 'true'])).code, 0)
    t.strictSame([bench.asked('update', 'sys/leases/revoke'), ...counts()], [before[0] === undefined ? 0 : before[0] + 1, before[1], before[2]])
    t.equal((await run(['whoami'])).code, 0)
  })

  await t.test('SEC-343 fields of secrets are variables; one that does harm stops it before anything is fetched', async (t) => {
    await broker.must('POST', 'sys/mounts/secret', { body: { type: 'kv', options: { version: '2' } } })
    const password = canary()
    await broker.must('POST', 'secret/data/app', { body: { data: { DB_PASSWORD: password, DB_PORT: 5432 } } })
    await broker.must('POST', 'secret/data/evil', { body: { data: { LD_PRELOAD: '/tmp/evil.so', PATH: '/tmp' } } })
    const { client_token: token } = await broker.tokenFor('path "secret/*" { capabilities = ["read"] }\npath "aws/creds/ec2-only" { capabilities = ["read"] }\npath "sys/leases/revoke" { capabilities = ["update"] }')
    const env = { LATCHKEY_TOKEN: token }
    const { out } = await run(['exec', '--secret', 'secret/data/app', '--', 'env'], { env })
    t.match(out, `DB_PASSWORD=${password}\n`)
    t.match(out, 'DB_PORT=5432\n')
    t.notMatch(out, /^LATCHKEY_TOKEN=/m)
    const before = bench.asked('read', 'aws/creds/ec2-only')
    const refused = await run(['exec', '--role', 'ec2-only', '--secret', 'secret/data/evil', '--', 'true'], { env })
    t.match(refused, { code: 2, words: /a variable LD_PRELOAD changes how programs work/ })
    t.equal(bench.asked('read', 'aws/creds/ec2-only'), before)
    t.match(await run(['read', 'secret/data/evil', '--format', 'env'], { env }), { code: 2, out: '' })
    t.match(await run(['read', 'secret/data/app', '--format', 'env'], { env }), { code: 0, out: `export DB_PASSWORD='${password}'\nexport DB_PORT='5432'\n` })
    t.match(await run(['exec', '--secret', 'secret/data/app', '--secret', 'secret/data/app', '--', 'true'], { env }), { code: 2, words: /DB_PASSWORD is given twice/ })
  })
})

t.test('a stop before the command starts is a stop, and what was made until then is ended', async (t) => {
  let answer = () => {}
  const broker = await startImpostor(t, (request, response) => {
    if (request.url?.endsWith('/login') !== true) return json(response, 200, {})
    answer = () => json(response, 200, { auth: { client_token: 'made', lease_duration: 60, renewable: true, policies: [] } })
  })
  const running = start(t, ['exec', '--role', 'deploy', '--', 'sh', '-c', 'echo ran'], { env: { LATCHKEY_ADDR: broker.address, HOME: createFolder(t), LATCHKEY_ROLE_ID: 'x' } })
  await until('it logs in', () => broker.seen.length === 1)
  running.child.kill('SIGTERM')
  await until('it heard', () => running.words() === 'latchkey: stopping\n')
  answer()
  t.match(await running.ended, { code: 143, out: '' })
  t.strictSame(broker.seen, ['PUT /v1/auth/approle/login', 'POST /v1/auth/token/revoke-self'])
})
