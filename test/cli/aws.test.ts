import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { readInvocation } from '../../src/cli/args.ts'
import { cachedCredentials } from '../../src/cli/cache.ts'
import { commands } from '../../src/cli/commands.ts'
import type { Call } from '../../src/cli/client.ts'
import { CallFailure } from '../../src/cli/failure.ts'
import { createNames } from '../../src/cli/names.ts'
import { createFolder } from '../helpers/broker.ts'
import { findProgram } from './programs.ts'
import { identify, json, latchkey, startBench, startImpostor, startProgram, testParts } from './rig.ts'

t.setTimeout(180_000)
const launcher = path.join(import.meta.dirname, '../../src/cli/latchkey')
const python = findProgram(['/usr/bin/python3', 'python3'], ['-c', 'import boto3'])
const awsCli = findProgram(['/usr/bin/aws', 'aws'], ['--version'])
const role = /:assumed-role\/LatchkeyProvisioner\//

t.test('AWS credentials', async (t) => {
  const bench = await startBench(t)
  const { broker, emulator, run, home } = bench
  const identity = await bench.identity({ num_uses: 20, metadata: '{"run_id":"run-7"}' })
  const cache = path.join(home, '.latchkey', 'cache')
  const vends = () => bench.asked('read', 'aws/creds/ec2-only')
  const logins = () => bench.asked('update', 'auth/approle/login')

  await t.test('SEC-330 credential-process answers Version 1 and nothing else, and keeps what it fetched', async (t) => {
    const { code, out, words } = await run(['credential-process', 'ec2-only'], { env: identity })
    t.match({ code, words }, { code: 0, words: '' })
    const answer = JSON.parse(out)
    t.strictSame(Object.keys(answer), ['Version', 'AccessKeyId', 'SecretAccessKey', 'SessionToken', 'Expiration'])
    t.equal(answer.Version, 1)
    t.match(answer.Expiration, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    const seconds = (Date.parse(answer.Expiration) - Date.now()) / 1000
    t.ok(seconds > 800 && seconds <= 900, `lives ${seconds} s`)
    t.match(await identify(emulator, { accessKeyId: answer.AccessKeyId, secretAccessKey: answer.SecretAccessKey, sessionToken: answer.SessionToken }), /\/run-7\./)
    t.equal((await run(['credential-process', 'ec2-only'], { env: identity })).out, out, 'the next process gets the same')
    t.equal(vends(), 1)
    const [file = ''] = readdirSync(cache).filter((name) => name.endsWith('.json'))
    t.match(file, /^[0-9a-f]{64}\.json$/)
    t.equal(statSync(path.join(cache, file)).mode & 0o777, 0o600)
    writeFileSync(path.join(cache, file), '{"half":', { mode: 0o600 })
    t.equal((await run(['credential-process', 'ec2-only'], { env: identity })).code, 0, 'a file that is not whole is fetched anew')
    t.equal(vends(), 2)
    await run(['credential-process', 'ec2-only', '--ttl', '20m'], { env: identity })
    t.equal(vends(), 3, 'what is asked for differently is something else')
  })

  await t.test('SEC-344 of many processes at once one logs in and fetches, and all answer', async (t) => {
    await run(['logout'])
    t.strictSame(readdirSync(cache).filter((name) => name.endsWith('.json')), [], 'logout forgets what was kept')
    const before = [vends(), logins()]
    const all = await Promise.all(Array.from({ length: 12 }, () => run(['credential-process', 'ec2-only'], { env: identity })))
    t.ok(all.every(({ code }) => code === 0), all.map(({ words }) => words).join(''))
    t.equal(new Set(all.map(({ out }) => JSON.parse(out).AccessKeyId)).size, 1)
    t.strictSame([vends(), logins()], before.map((count) => count + 1))
  })

  await t.test('a token that has ended is replaced by a new login, where something says who logs in', async (t) => {
    const token = readFileSync(path.join(home, '.latchkey', `token-127.0.0.1-${broker.port}`), 'utf8')
    await broker.must('POST', 'auth/token/revoke', { body: { token } })
    const before = logins()
    t.equal((await run(['aws', 'ec2-only'], { env: identity })).code, 0)
    t.equal(logins(), before + 1)
    const next = readFileSync(path.join(home, '.latchkey', `token-127.0.0.1-${broker.port}`), 'utf8')
    t.not(next, token)
    await broker.must('POST', 'auth/token/revoke', { body: { token: next } })
    t.match(await run(['aws', 'ec2-only']), { code: 3, words: /permission denied/ }, 'else it is refused')
    t.match(await run(['aws', 'other'], { env: identity }), { code: 3 })
    t.equal(logins(), before + 2, 'a right that is missing is no reason to log in again')
    t.match(await run(['aws', 'other'], { env: identity }), { code: 3 })
    t.equal(logins(), before + 2)
  })

  await t.test('SEC-342 the form env is read by a shell, and makes AWS\'s clients work', async (t) => {
    const script = `creds=$("${launcher}" aws ec2-only --format env --region eu-west-1) && eval "$creds" && env | grep ^AWS_ | sort`
    const { code, out, words } = await startProgram(t, ['sh', '-c', script], { env: { ...bench.env, ...identity } }).ended
    t.equal(code, 0, words)
    const seen = Object.fromEntries(out.trim().split('\n').map((line) => line.split(/=(.*)/s).slice(0, 2)))
    t.strictSame(Object.keys(seen), ['AWS_ACCESS_KEY_ID', 'AWS_CREDENTIAL_EXPIRATION', 'AWS_DEFAULT_REGION', 'AWS_REGION', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'])
    t.match(await identify(emulator, { accessKeyId: seen.AWS_ACCESS_KEY_ID, secretAccessKey: seen.AWS_SECRET_ACCESS_KEY, sessionToken: seen.AWS_SESSION_TOKEN }), role)
    t.match(await run(['aws', 'ec2-only', '--region', 'x;id'], { env: identity }), { code: 2 })
  })

  await t.test('the forms of Terragrunt and Atlantis are what these read, and the same for each of their calls', async (t) => {
    const before = vends()
    const terragrunt = await run(['aws', 'ec2-only', '--format', 'terragrunt', '--region', 'eu-west-1'], { env: identity })
    const { awsCredentials, ...others } = JSON.parse(terragrunt.out)
    t.strictSame(others, { envs: { AWS_REGION: 'eu-west-1', AWS_DEFAULT_REGION: 'eu-west-1' } })
    t.strictSame(Object.keys(awsCredentials), ['ACCESS_KEY_ID', 'SECRET_ACCESS_KEY', 'SESSION_TOKEN'])
    const atlantis = await run(['aws', 'ec2-only', '--format', 'atlantis'], { env: identity })
    t.match(atlantis.out, /^AWS_ACCESS_KEY_ID=[^,\s"']+,AWS_SECRET_ACCESS_KEY=[^,\s"']+,AWS_SESSION_TOKEN=[^,\s"']+\n$/)
    t.ok(atlantis.out.startsWith(`AWS_ACCESS_KEY_ID=${awsCredentials.ACCESS_KEY_ID},`))
    t.ok(vends() - before <= 1)
    t.match(await run(['aws', 'nope', '--format', 'atlantis'], { env: identity }), { code: 3, out: '' }, 'nothing is written where nothing was fetched')
  })

  await t.test('SEC-340 the form github masks the three values, and gives them to later steps', async (t) => {
    const file = bench.file('github-env', '')
    const { code, out, words } = await run(['aws', 'ec2-only', '--format', 'github', '--region', 'eu-west-1'], { env: { ...identity, GITHUB_ENV: file } })
    t.match({ code, words }, { code: 0, words: '' })
    const given = [...readFileSync(file, 'utf8').matchAll(/^(\w+)<<(\w+)\n(.*)\n\2$/gm)].map(([, name = '', , value = '']) => [name, value] as const)
    t.strictSame(given.map(([name]) => name), ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_REGION', 'AWS_DEFAULT_REGION'])
    for (const [, value] of given.slice(0, 3)) t.ok(out.includes(`::add-mask::${value.replaceAll('%', '%25')}\n`))
    t.match(await run(['aws', 'ec2-only', '--format', 'github'], { env: identity }), { code: 2, out: '', words: /GITHUB_ENV is not set/ })
  })

  await t.test('credentials that nobody could be given lose their lease', async (t) => {
    const before = bench.asked('update', 'sys/leases/revoke')
    await run(['aws', 'ec2-only', '--format', 'github'], { env: { ...identity, GITHUB_ENV: path.join(home, 'missing', 'file') } })
    t.equal(bench.asked('update', 'sys/leases/revoke'), before + 1)
  })

  await t.test('boto3 refreshes by credential_process', { skip: python === null && 'boto3 is not installed here' }, async (t) => {
    if (python === null) return
    const config = bench.file('config', `[profile latchkey]\nregion = eu-west-1\ncredential_process = ${launcher} credential-process ec2-only\n`)
    const script = 'import boto3, sys\nsession = boto3.Session(profile_name="latchkey")\nprint(session.client("sts", endpoint_url=sys.argv[1]).get_caller_identity()["Arn"])'
    const { code, out, words } = await startProgram(t, [python, '-c', script, emulator.endpoint],
      { env: { ...bench.env, ...identity, AWS_CONFIG_FILE: config, AWS_EC2_METADATA_DISABLED: 'true' } }).ended
    t.equal(code, 0, words)
    t.match(out, role)
  })

  await t.test('the AWS CLI by credential_process', { skip: awsCli === null && 'the AWS CLI is not installed here' }, async (t) => {
    if (awsCli === null) return
    const config = bench.file('config', `[default]\nregion = eu-west-1\ncredential_process = ${launcher} credential-process ec2-only\n`)
    const before = vends()
    for (let n = 0; n < 2; n++) {
      const { code, out, words } = await startProgram(t, [awsCli, 'sts', 'get-caller-identity', '--endpoint-url', emulator.endpoint, '--output', 'text', '--query', 'Arn'],
        { env: { ...bench.env, ...identity, AWS_CONFIG_FILE: config, AWS_EC2_METADATA_DISABLED: 'true' } }).ended
      t.equal(code, 0, words)
      t.match(out, role)
    }
    t.ok(vends() - before <= 1, 'two calls cost one session')
  })
})

const credentialProcess = commands.find(({ name }) => name === 'credential-process')

/** cachedCredentials with clocks of a test's own, on a broker that answers as it is told. */
function kept (home: string, answer: { current: 'ok' | 'away' }) {
  if (credentialProcess === undefined) throw new Error('there is no such command')
  const invocation = readInvocation(['deploy'], credentialProcess)
  const { parts, said, time } = testParts({ HOME: home, LATCHKEY_TOKEN: 'a-token' })
  let fetched = 0
  const client = {
    origin: 'http://127.0.0.1:1',
    aheadMs: () => null,
    async ask ({ path }: Call) {
      if (path[0] === 'sys') return { body: null }
      const facts = { status: 503, isUnsent: false, retryAfterSeconds: null }
      if (answer.current === 'away') throw new CallFailure('unavailable', 'the broker is away', facts)
      fetched++
      return { body: { lease_id: `aws/creds/deploy/${fetched}`, lease_duration: 3600, data: { access_key: `ASIA${fetched}`, secret_key: 's'.repeat(40), security_token: 't'.repeat(400) } } }
    }
  }
  const names = createNames({ client, hide: () => {}, isResolving: true })
  const wanted = { mount: 'aws', role: 'deploy', ttl: null, roleArn: null, sessionName: null }
  const ask = async () => (await cachedCredentials(invocation, parts, { client, names }, wanted)).accessKeyId
  const pass = (ms: number) => {
    time.wallMs += ms
    time.steadyMs += ms
  }
  return { ask, pass, time, said, fetched: () => fetched }
}

const minute = 60_000

t.test('what was kept is given while more than 15 minutes or a third of its life remain', async (t) => {
  const { ask, pass, time } = kept(createFolder(t), { current: 'ok' })
  time.wallMs = Date.now()
  t.equal(await ask(), 'ASIA1')
  pass(44 * minute)
  t.equal(await ask(), 'ASIA1')
  pass(2 * minute)
  t.equal(await ask(), 'ASIA2')
})

t.test('SEC-329 what still lives is given while the broker is away, and no longer', async (t) => {
  const answer: { current: 'ok' | 'away' } = { current: 'ok' }
  const { ask, pass, time, said } = kept(createFolder(t), answer)
  time.wallMs = Date.now()
  t.equal(await ask(), 'ASIA1')
  answer.current = 'away'
  pass(58 * minute)
  t.equal(await ask(), 'ASIA1')
  t.match(said.join(''), 'the broker is away; what was fetched before still lives')
  pass(1.5 * minute)
  await t.rejects(ask(), /the broker is away/)
})

t.test('SEC-345 a clock that was set back does not make what has ended live again, nor one that stood still', async (t) => {
  const back = kept(createFolder(t), { current: 'ok' })
  back.time.wallMs = Date.now()
  t.equal(await back.ask(), 'ASIA1')
  back.time.wallMs -= 10 * minute
  t.equal(await back.ask(), 'ASIA2', 'a clock before the writing is not believed')
  const sleep = kept(createFolder(t), { current: 'ok' })
  sleep.time.wallMs = Date.now()
  t.equal(await sleep.ask(), 'ASIA1')
  sleep.time.steadyMs += 50 * minute
  sleep.time.wallMs += 1 * minute
  t.equal(await sleep.ask(), 'ASIA2', 'the clock that was not set counts')
})

t.test('SEC-345 a clock that is 10 minutes off is named', async (t) => {
  for (const [offMs, words] of [[600_000, /this machine is 10m behind the broker's: AWS refuses/], [-600_000, /is 10m ahead of the broker's/]] as const) {
    const broker = await startImpostor(t, (_request, response) => {
      json(response, 200, { lease_id: 'x', lease_duration: 900, data: { access_key: 'ASIA1', secret_key: 'secret', security_token: 'token' } },
        { date: new Date(Date.now() + offMs).toUTCString() })
    })
    const { code, out, words: said } = await latchkey(t, ['aws', 'deploy', '--no-resolve'], { env: { LATCHKEY_ADDR: broker.address, LATCHKEY_TOKEN: 'x' } })
    t.equal(code, 0)
    t.match(said, words)
    const seconds = (Date.parse(JSON.parse(out).Expiration) - Date.now()) / 1000
    t.ok(seconds > 800 && seconds <= 900, 'the expiry is by the clock of those who read it')
  }
})

t.test('the form of Atlantis is one line on both outputs together, whatever there would be to say', async (t) => {
  const broker = await startImpostor(t, (_request, response) => {
    json(response, 200, { lease_id: 'x', lease_duration: 900, data: { access_key: 'ASIA1', secret_key: 'secret', security_token: 'token' } },
      { date: new Date(Date.now() + 600_000).toUTCString() })
  })
  const { out, words } = await latchkey(t, ['aws', 'deploy', '--no-resolve', '--format', 'atlantis'],
    { env: { HOME: createFolder(t), LATCHKEY_ADDR: broker.address, LATCHKEY_TOKEN: 'x' } })
  t.equal(out + words, 'AWS_ACCESS_KEY_ID=ASIA1,AWS_SECRET_ACCESS_KEY=secret,AWS_SESSION_TOKEN=token\n')
})

t.test('SEC-333 SEC-337 an answer that holds no credentials is none, nor one whose values would be more than a value in a file', async (t) => {
  const good = { access_key: 'A', secret_key: 'CNRYsecret', security_token: 'CNRYtoken' }
  const bad = [
    { lease_id: 'x', lease_duration: 900, data: { ...good, security_token: null } }, { lease_id: 'x', lease_duration: 900, data: { ...good, secret_key: ['x'] } },
    { lease_id: 'x', lease_duration: 0, data: good }, { lease_id: 'x', lease_duration: '900', data: good }, { lease_id: null, lease_duration: 900, data: good }, { data: good }, {},
    { lease_id: 'x', lease_duration: 900, data: { ...good, secret_key: 'CNRY\ncredential_process = touch /tmp/x' } }, { lease_id: 'x', lease_duration: 900, data: { ...good, access_key: '' } },
    { lease_id: 'x', lease_duration: 900, data: { ...good, security_token: 'CNRY\u001b[2J' } }, { lease_id: 'x', lease_duration: 9e15, data: good }
  ]
  for (const body of bad) {
    const broker = await startImpostor(t, (_request, response) => json(response, 200, body))
    const ended = await latchkey(t, ['aws', 'deploy', '--no-resolve'], { env: { LATCHKEY_ADDR: broker.address, LATCHKEY_TOKEN: 'x' } })
    t.match(ended, { code: 1, out: '', words: /the answer holds no credentials of a session/ })
    t.notMatch(ended.words, 'CNRY')
  }
})
