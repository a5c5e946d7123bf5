import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { namesOfCommandLine } from '../../config/config.ts'
import { variables } from '../../src/cli/settings.ts'
import { createFolder, wrapOf } from '../helpers/broker.ts'
import { until } from '../helpers/redis.ts'
import { noPython, python } from './programs.ts'
import { findProgram } from './programs.ts'
import { canary, json, latchkey, startBench, startImpostor, startProgram } from './rig.ts'

t.setTimeout(180_000)
const main = path.join(import.meta.dirname, '../../src/cli/main.ts')
const launcher = path.join(import.meta.dirname, '../../src/cli/latchkey')
const nobody = ['--reuid', '54321', '--regid', '54321', '--clear-groups']
const asNobody = findProgram(['setpriv'], [...nobody, 'test', '-r', launcher])

t.test('logging in and out', async (t) => {
  const bench = await startBench(t)
  const { broker, home, run } = bench
  const tokenFile = path.join(home, '.latchkey', `token-127.0.0.1-${broker.port}`)
  const isAlive = async (token: string) => (await broker.ask('GET', 'auth/token/lookup-self', { token })).status === 200

  await t.test('SEC-332 login keeps the token in a file of mode 0600 in a folder of mode 0700; logout ends it and removes it', async (t) => {
    const identity = await bench.identity()
    const login = await run(['login'], { env: identity })
    t.match(login, { code: 0, out: '', words: /^latchkey: logged in for 20m with the policies ci-ec2-only, default; the token is in .*\/token-127\.0\.0\.1-\d+\n$/ })
    t.equal(statSync(tokenFile).mode & 0o777, 0o600)
    t.equal(statSync(path.dirname(tokenFile)).mode & 0o777, 0o700)
    t.strictSame(readdirSync(path.dirname(tokenFile)).sort(), [path.basename(tokenFile), `${path.basename(tokenFile)}.lock`])
    const token = readFileSync(tokenFile, 'utf8')
    t.match((await run(['whoami'])).out, /^policies +ci-ec2-only, default$/m)
    t.match(JSON.parse((await run(['whoami', '--format', 'json'])).out), { meta: { role_name: 'ci' }, ttl: Number })
    t.equal((await run(['logout'])).code, 0)
    t.strictSame(readdirSync(path.dirname(tokenFile)), [`${path.basename(tokenFile)}.lock`])
    t.notOk(await isAlive(token))
    t.match(await run(['whoami']), { code: 2, words: /there is no token in .*: run latchkey login/ })
  })

  await t.test('role_id and secret_id come from files, the environment or standard input', async (t) => {
    const secretId = await bench.secretId()
    const role = bench.file('role-id', `${bench.roleId}\n`)
    const secret = bench.file('secret-id', `${secretId}\n`)
    const ways: [string[], Record<string, string>, string][] = [
      [['--role-id-file', role, '--secret-id-file', secret], {}, ''],
      [[], { LATCHKEY_ROLE_ID_FILE: role, LATCHKEY_SECRET_ID_FILE: secret }, ''],
      [[], { LATCHKEY_ROLE_ID: bench.roleId, LATCHKEY_SECRET_ID: secretId }, ''],
      [['--role-id-file', role, '--secret-id-file', '-'], {}, `${secretId}\n`]
    ]
    for (const [words, env, input] of ways) {
      const { code, out, words: said } = await run(['login', '--print', ...words], { env, input })
      t.equal(code, 0, said)
      t.ok(await isAlive(out.trim()))
    }
    t.match(await run(['login']), { code: 2, words: /nothing says who logs in/ })
    t.match(await run(['login'], { env: { LATCHKEY_ROLE_ID: bench.roleId, LATCHKEY_SECRET_ID: 'wrong' } }), { code: 3, words: 'latchkey: PUT login: invalid role or secret ID (400)\n' })
  })

  await t.test('SEC-331 a secret on the command line is refused and not repeated', async (t) => {
    const secret = canary()
    for (const words of [['--secret-id', secret], [`--secret-id=${secret}`], [secret], ['--token', secret], ['-s', secret], [`--print=${secret}`]]) {
      const { code, out, words: said } = await run(['login', ...words])
      t.equal(code, 2)
      t.notMatch(out + said, 'CNRY')
    }
    t.match((await run(['login', '--secret-id', secret])).words, /secrets are never taken from the command line/)
    t.match(await run(['write', 'secret/data/a', `password=${secret}`]), { code: 2, words: /from standard input or from @file/ })
    const help = await run(['login', '--help'])
    t.match(help, { code: 0, out: /LATCHKEY_SECRET_ID_FILE/ })
    const { out: overview } = await run(['--help'])
    for (const name of Object.keys(variables)) t.match(overview, name)
  })

  await t.test('SEC-331 at the terminal the secret_id is asked for without echo', { skip: noPython }, async (t) => {
    const terminal = path.join(import.meta.dirname, 'terminal.py')
    const secretId = await bench.secretId()
    const asking = startProgram(t, [python ?? '', terminal, process.execPath, main, 'login'], { env: bench.env })
    const commandLines = () => readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, 'utf8')]
      } catch {
        return []
      }
    })
    await until('it asks', () => asking.out().includes('role_id: '))
    t.notOk(commandLines().some((line) => line.includes(secretId)))
    asking.child.kill('SIGKILL')
    const asked = startProgram(t, [python ?? '', terminal, process.execPath, main, 'login'], {
      env: { ...bench.env, ANSWERS: JSON.stringify([['role_id: ', bench.roleId], ['secret_id: ', secretId]]) }
    })
    const { code, out } = await asked.ended
    t.equal(code, 0, out)
    t.match(out, /secret_id: \r?\n.*logged in for/s)
    t.notOk(out.includes(secretId), 'the secret_id is not echoed')
  })

  await t.test('a wrapped secret_id is opened once, if it was made where it should, and a thief is noticed', async (t) => {
    const place = 'auth/approle/role/ci/secret-id'
    const wrapped = async () => wrapOf(await broker.must('POST', place, { body: {}, headers: { 'x-vault-wrap-ttl': '120s' } })).token
    const env = { LATCHKEY_ROLE_ID: bench.roleId, LATCHKEY_SECRET_ID: await wrapped() }
    t.match(await run(['login', '--wrapped-by', 'auth/approle/role/admin/secret-id'], { env }),
      { code: 3, words: /was not made at the expected path: it was not opened/ })
    t.equal((await run(['login', '--wrapped-by', place], { env })).code, 0, 'so it can still be opened')
    t.match(await run(['login', '--wrapped-by', place], { env }), { code: 3, words: /somebody opened it: have it revoked/ })
    const other = wrapOf(await broker.must('POST', 'sys/wrapping/wrap', { body: { secret_id: 'x' }, headers: { 'x-vault-wrap-ttl': '60s' } })).token
    t.match(await run(['login'], { env: { ...env, LATCHKEY_SECRET_ID: other, LATCHKEY_WRAPPED_BY: place } }), { code: 3, words: /not made at the expected path/ })
  })

  await t.test('SEC-344 of many logins at once one is done, and the others use its token', async (t) => {
    await run(['logout'])
    const before = bench.asked('update', 'auth/approle/login')
    const identity = await bench.identity({ num_uses: 8 })
    const all = await Promise.all(Array.from({ length: 8 }, () => run(['login'], { env: identity })))
    t.ok(all.every(({ code }) => code === 0), all.map(({ words }) => words).join(''))
    const logins = bench.asked('update', 'auth/approle/login') - before
    const told = all.filter(({ words }) => words.includes('logged in for')).length
    t.equal(logins, told, 'each login is told of')
    t.ok(logins < 8, `${logins} of 8 logged in`)
    t.ok(await isAlive(readFileSync(tokenFile, 'utf8')))
    t.strictSame(readdirSync(path.dirname(tokenFile)).sort(), [path.basename(tokenFile), `${path.basename(tokenFile)}.lock`], 'nothing is left beside it')
  })

  await t.test('SEC-332 a token that has no place is not made: a folder in its place, a full disk', async (t) => {
    const before = bench.asked('update', 'auth/approle/login')
    const ended = bench.asked('update', 'auth/token/revoke-self')
    const identity = await bench.identity()
    const folder = createFolder(t)
    t.match(await run(['login', '--token-file', folder], { env: identity }), { code: 2, words: /it is no file/ })
    t.match(await run(['login', '--token-file', '/proc/token'], { env: identity }), { code: 2, words: /cannot be used/ })
    t.equal(bench.asked('update', 'auth/approle/login'), before)
    if (process.getuid?.() !== 0) return
    const script = 'mount -t tmpfs -o size=4096,nr_inodes=8 none "$0" && chmod 700 "$0" && touch "$0/t.lock" && chmod 600 "$0/t.lock" && head -c 4096 /dev/zero > "$0/full"; exec "$@"'
    const full = startProgram(t, ['unshare', '--mount', 'sh', '-c', script, folder, process.execPath, main, 'login', '--token-file', path.join(folder, 't')],
      { env: { ...bench.env, ...identity } })
    const { code, words } = await full.ended
    if (/unshare|mount:/.test(words)) return
    t.equal(code, 2, words)
    t.match(words, /the disk is full/)
    t.equal(bench.asked('update', 'auth/approle/login') - before, 1)
    t.equal(bench.asked('update', 'auth/token/revoke-self') - ended, 1, 'a token that could not be kept was ended')
  })

  await t.test('SEC-334 the token of one broker is shown to no other', async (t) => {
    const identity = await bench.identity()
    t.equal((await run(['login'], { env: identity })).code, 0)
    const other = await startImpostor(t, (_request, response) => json(response, 403, { errors: ['permission denied'] }))
    t.match(await run(['read', 'secret/a', '--address', other.address]), { code: 2, words: /there is no token in .*: run latchkey login/ })
    t.notOk(other.heard().includes(readFileSync(tokenFile, 'utf8')))
    t.equal((await run(['logout'])).code, 0)
  })

  await t.test('SEC-332 a token file that others may read, a link, or another owner\'s is not used', async (t) => {
    const place = bench.file('given', canary())
    const use = (file: string) => run(['whoami'], { env: { LATCHKEY_TOKEN_FILE: file } })
    t.match(await use(place), { code: 3 })
    writeFileSync(path.join(home, 'wide'), canary(), { mode: 0o640 })
    for (const file of [path.join(home, 'wide'), home]) {
      const { code, words } = await use(file)
      t.equal(code, 2)
      t.notMatch(words, 'CNRY')
    }
  })

  await t.test('the mount to log in at may have a name that rotates, which a file tells', async (t) => {
    const identity = await bench.identity()
    await broker.must('POST', 'sys/latchkey/rotation/auth/approle', { body: { stable_path: 'never' } })
    const name = String((await broker.must('GET', 'sys/latchkey/resolve/auth/approle')).body.data?.['name'])
    const env = { ...identity, LATCHKEY_AUTH_MOUNT_FILE: bench.file('mount', `${name}\n`) }
    t.equal((await run(['login'], { env })).code, 0)
    const refused = await run(['login'], { env: { ...env, LATCHKEY_AUTH_MOUNT_FILE: '', LATCHKEY_AUTH_MOUNT: `${name.slice(0, -1)}_` } })
    t.ok(refused.code === 3 || refused.code === 4)
    t.notMatch(refused.words, name.slice(0, -1), 'SEC-222 an error does not tell the name')
  })
})

t.test('SEC-345 a token file of a later time is not taken for a login of this moment', async (t) => {
  const home = createFolder(t)
  const file = path.join(home, 'token')
  writeFileSync(file, 'former', { mode: 0o600 })
  const later = Date.now() / 1000 + 600
  utimesSync(file, later, later)
  const broker = await startImpostor(t, (_request, response) => json(response, 200, { auth: { client_token: 'made', lease_duration: 60, policies: [] } }))
  const { code } = await latchkey(t, ['login', '--token-file', file], { env: { HOME: home, LATCHKEY_ADDR: broker.address, LATCHKEY_ROLE_ID: 'x', LATCHKEY_SECRET_ID: 'y' } })
  t.equal(code, 0)
  t.equal(readFileSync(file, 'utf8'), 'made')
})

t.test('for a user whom the system does not know, and without HOME, a token needs no file where it is kept in none', { skip: asNobody === null && 'needs root, and a place that everybody may read' }, async (t) => {
  const broker = await startImpostor(t, (request, response) => {
    if (request.url === '/v1/auth/approle/login') return json(response, 200, { auth: { client_token: 'made', lease_duration: 60, policies: [] } })
    return json(response, request.method === 'GET' ? 200 : 204, { data: { A: 'b' } })
  })
  // Coverage comes by NODE_OPTIONS, and writes where this user may not.
  const run = (...words: string[]) => startProgram(t, ['setpriv', ...nobody, 'env', '-u', 'NODE_OPTIONS', launcher, ...words],
    { env: { LATCHKEY_ADDR: broker.address, LATCHKEY_ROLE_ID: 'x', LATCHKEY_SECRET_ID: 'y' }, cwd: '/' }).ended
  t.match(await run('exec', '--no-resolve', '--secret', 'secret/a', '--', 'sh', '-c', 'echo "$A"'), { code: 0, out: 'b\n', words: '' })
  t.match(await run('login'), { code: 2, words: /there is no home folder for the token: name its file by LATCHKEY_TOKEN_FILE/ })
})

t.test('the broker lets the variables of the command line be', async (t) => {
  t.strictSame([...namesOfCommandLine].sort(), Object.keys(variables).sort())
})
