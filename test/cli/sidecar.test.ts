import { fromHttp } from '@aws-sdk/credential-provider-http'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import t, { type Test } from 'tap'
import { createFolder } from '../helpers/broker.ts'
import { until } from '../helpers/redis.ts'
import { findProgram } from './programs.ts'
import { identify, json, latchkey, start, startBench, startImpostor, startProgram, type Bench, type Running } from './rig.ts'

t.setTimeout(240_000)
const role = /:assumed-role\/LatchkeyProvisioner\//
const pythons = [...new Set([findProgram(['/usr/bin/python3'], ['-c', 'import boto3']), findProgram(['python3'], ['-c', 'import boto3'])])].filter((each) => each !== null)
const awsCli = findProgram(['/usr/bin/aws', 'aws'], ['--version'])

interface Serving {
  readonly running: Running
  readonly url: string
  readonly authorizationFile: string
  readonly authorization: string
  /** Asks as AWS's clients do. */
  ask (): Promise<{ status: number, body: Record<string, string> }>
}

function get (url: string, authorization: string): Promise<{ status: number, body: Record<string, string> }> {
  return new Promise((resolve, reject) => {
    http.get(url, { headers: { authorization } }, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => { text += chunk.toString('utf8') })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text === '' ? {} : JSON.parse(text) as Record<string, string> }))
    }).on('error', reject)
  })
}

/** Starts a sidecar, and reads what it says is to be exported. */
async function serve (bench: Bench, words: readonly string[], env: Readonly<Record<string, string>>): Promise<Serving> {
  const running = bench.start(['sidecar', '--role', 'ec2-only', ...words], { env })
  await until('it serves', () => {
    if (running.child.exitCode !== null) throw new Error(`it ended: ${running.words()}`)
    return running.out().includes('AUTHORIZATION_TOKEN_FILE=')
  }, 30_000)
  const url = /FULL_URI='(.*)'/.exec(running.out())?.[1] ?? ''
  const authorizationFile = /TOKEN_FILE='(.*)'/.exec(running.out())?.[1] ?? ''
  const authorization = readFileSync(authorizationFile, 'utf8')
  return { running, url, authorizationFile, authorization, ask: () => get(url, authorization) }
}

async function stop ({ running }: Serving) {
  running.child.kill('SIGTERM')
  return running.ended
}

async function open (t: Test) {
  const bench = await startBench(t)
  const identity = await bench.identity({ num_uses: 40, metadata: '{"run_id":"run-9"}' })
  const { broker, emulator, asked } = bench
  return { bench, identity, broker, emulator, asked }
}

t.test('a sidecar', async (t) => {
  const { bench, identity, broker, emulator, asked } = await open(t)
  const temporary = createFolder(t)
  const env = { ...identity, XDG_RUNTIME_DIR: temporary }

  await t.test('SEC-321 what callers show is new at each start, in a file of mode 0600 without a line\'s end, and nowhere else', async (t) => {
    const one = await serve(bench, [], env)
    const two = await serve(bench, [], env)
    t.match(one.authorization, /^[\w-]{43}$/, '256 bits')
    t.not(one.authorization, two.authorization)
    t.equal(statSync(one.authorizationFile).mode & 0o777, 0o600)
    t.equal(statSync(path.dirname(one.authorizationFile)).mode & 0o777, 0o700)
    for (const place of ['cmdline', 'environ']) t.notOk(readFileSync(`/proc/${String(one.running.child.pid)}/${place}`, 'latin1').includes(one.authorization))
    t.match(await one.ask(), { status: 200 })
    t.match(await get(one.url, two.authorization), { status: 403 })
    for (const each of [one, two]) {
      const { code, out, words } = await stop(each)
      t.equal(code, 0)
      t.equal(words, 'latchkey: stopping\n')
      t.notOk(out.includes(each.authorization))
    }
    t.strictSame(readdirSync(temporary), [], 'and is gone with it')
  })

  await t.test('SEC-320 it is reached on loopback only', async (t) => {
    const serving = await serve(bench, [], env)
    const port = Number(new URL(serving.url).port).toString(16).toUpperCase().padStart(4, '0')
    const listening = ['tcp', 'tcp6'].flatMap((table) => existsSync(`/proc/net/${table}`) ? readFileSync(`/proc/net/${table}`, 'utf8').split('\n') : [])
      .map((line) => line.trim().split(/\s+/)).filter(([, local = '', , state]) => local.endsWith(`:${port}`) && state === '0A').map(([, local]) => local)
    t.strictSame(listening, [`0100007F:${port}`])
    t.match(await latchkey(t, ['sidecar', '--role', 'ec2-only', '--listen', '0.0.0.0:0'], { env: { ...bench.env, ...env } }), { code: 2, words: /listens on this machine only/ })
    const before = asked('update', 'auth/approle/login')
    t.match(await latchkey(t, ['sidecar', '--role', 'ec2-only', '--listen', new URL(serving.url).host], { env: { ...bench.env, ...env } }), { code: 2, words: /EADDRINUSE/ })
    t.equal(asked('update', 'auth/approle/login'), before, 'known before anything is made')
    await stop(serving)
  })

  await t.test('SEC-347 another process of this machine gets nothing without the file, and everything with it', async (t) => {
    const serving = await serve(bench, [], env)
    const script = 'const [url, file] = process.argv.slice(1); const headers = file ? { authorization: require("fs").readFileSync(file, "utf8") } : {}; require("http").get(url, { headers }, ({ statusCode }) => { console.log(statusCode); process.exit(0) })'
    const neighbour = (...words: string[]) => startProgram(t, [process.execPath, '-e', script, serving.url, ...words], {}).ended
    t.equal((await neighbour()).out, '403\n')
    t.equal((await neighbour(serving.authorizationFile)).out, '200\n')
    t.match((await latchkey(t, ['sidecar', '--help'])).out.replaceAll(/\s+/g, ' '), /in a network that containers share the file is the boundary, not the port/)
    await stop(serving)
  })

  await t.test('SEC-327 a stampede of callers costs one login and one session', async (t) => {
    const before = [asked('update', 'auth/approle/login'), asked('read', 'aws/creds/ec2-only')]
    const serving = await serve(bench, [], env)
    const answers = await Promise.all(Array.from({ length: 200 }, () => serving.ask()))
    t.ok(answers.every(({ status }) => status === 200))
    t.equal(new Set(answers.map(({ body }) => body['AccessKeyId'])).size, 1)
    t.strictSame([asked('update', 'auth/approle/login'), asked('read', 'aws/creds/ec2-only')], before.map((count) => count + 1))
    await stop(serving)
  })

  await t.test('AWS\'s client for Node reads it', async (t) => {
    const serving = await serve(bench, [], env)
    const provider = fromHttp({ awsContainerCredentialsFullUri: serving.url, awsContainerAuthorizationTokenFile: serving.authorizationFile })
    const { accessKeyId, secretAccessKey, sessionToken = '', expiration } = await provider()
    t.match(await identify(emulator, { accessKeyId, secretAccessKey, sessionToken }), role)
    t.ok(expiration !== undefined && expiration.getTime() - Date.now() > 800_000)
    await stop(serving)
  })

  await t.test('boto3 reads it as a command of the sidecar\'s', { skip: pythons.length === 0 && 'boto3 is not installed here' }, async (t) => {
    const script = [
      'import boto3, botocore.credentials, os, sys',
      // Clients of 2023 and before know the variable only.
      'if not hasattr(botocore.credentials.ContainerProvider, "ENV_VAR_AUTH_TOKEN_FILE"):',
      '    os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = open(os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]).read()',
      'session = boto3.Session()',
      'print(session.client("sts", endpoint_url=sys.argv[1]).get_caller_identity()["Arn"])',
      'print(session.get_credentials().method)',
      'sys.exit(3)'
    ].join('\n')
    for (const python of pythons) {
      const { code, out, words } = await bench.run(['sidecar', '--role', 'ec2-only', '--region', 'eu-west-1', '--', python, '-c', script, emulator.endpoint],
        { env: { ...env, AWS_PROFILE: 'absent', AWS_ACCESS_KEY_ID: 'other', AWS_SECRET_ACCESS_KEY: 'other', AWS_EC2_METADATA_DISABLED: 'true' } })
      t.equal(code, 3, words)
      t.match(out, role)
      t.match(out, /^container-role$/m)
    }
  })

  await t.test('the AWS CLI reads it, after what it says was evaluated', { skip: awsCli === null && 'the AWS CLI is not installed here' }, async (t) => {
    const serving = await serve(bench, ['--region', 'eu-west-1'], env)
    const script = `${serving.running.out()}\nAWS_CONTAINER_AUTHORIZATION_TOKEN=$(cat "$AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") exec "$0" sts get-caller-identity --endpoint-url "$1" --query Arn --output text`
    const { code, out, words } = await startProgram(t, ['sh', '-c', script, awsCli ?? '', emulator.endpoint],
      { env: { HOME: temporary, AWS_PROFILE: 'absent', AWS_ACCESS_KEY_ID: 'other', AWS_EC2_METADATA_DISABLED: 'true' } }).ended
    t.equal(code, 0, words)
    t.match(out, role)
    await stop(serving)
  })

  await t.test('SEC-341 with a command it ends with it and with its code, and logs out', async (t) => {
    const before = asked('update', 'auth/token/revoke-self')
    const ended = await bench.run(['sidecar', '--role', 'ec2-only', '--', 'sh', '-c', 'env; exit 9'], { env: { ...env, LATCHKEY_SECRET_ID: 'x', OTHER: 'kept' } })
    t.match(ended, { code: 9, words: '' })
    t.match(ended.out, /^AWS_CONTAINER_CREDENTIALS_FULL_URI=http:\/\/127\.0\.0\.1:\d+\/credentials$/m)
    t.match(ended.out, /^OTHER=kept$/m)
    t.notMatch(ended.out, /^(?:AWS_SECRET|AWS_SESSION|AWS_CONTAINER_AUTHORIZATION_TOKEN=|LATCHKEY_SECRET_ID=)/m)
    t.equal(asked('update', 'auth/token/revoke-self'), before + 1)
    const running = bench.start(['sidecar', '--role', 'ec2-only', '--', process.execPath, '-e', 'process.on("SIGTERM", () => process.exit(42)); setInterval(() => {}, 1000); console.log("runs")'], { env })
    await until('it runs', () => running.out().includes('runs'))
    running.child.kill('SIGTERM')
    t.match(await running.ended, { code: 42, words: '' })
    t.equal(asked('update', 'auth/token/revoke-self'), before + 2)
    t.strictSame(readdirSync(temporary), [])
  })

  await t.test('SIGTERM ends the token, the lease with it, and the files', async (t) => {
    const sinks = path.join(createFolder(t), 'sinks')
    const serving = await serve(bench, ['--sink-folder', sinks, '--sink', 'credentials', '--sink', 'token'], env)
    const token = readFileSync(path.join(sinks, 'token'), 'utf8')
    t.equal((await broker.ask('GET', 'auth/token/lookup-self', { token })).status, 200)
    t.match(readFileSync(path.join(sinks, 'credentials'), 'utf8'), /^\[default\]\naws_access_key_id = ASIA/)
    t.equal((await stop(serving)).code, 0)
    t.equal((await broker.ask('GET', 'auth/token/lookup-self', { token })).status, 403)
    t.strictSame(readdirSync(sinks), [])
  })

  await t.test('a token that was given stays, and the lease that was made with it ends', async (t) => {
    const { client_token: token } = await broker.tokenFor('path "aws/creds/ec2-only" { capabilities = ["read"] }\npath "sys/leases/revoke" { capabilities = ["update"] }')
    const before = asked('update', 'sys/leases/revoke')
    const serving = await serve(bench, [], { LATCHKEY_TOKEN: token, XDG_RUNTIME_DIR: temporary })
    t.equal((await stop(serving)).code, 0)
    t.equal((await broker.ask('GET', 'auth/token/lookup-self', { token })).status, 200)
    t.equal(asked('update', 'sys/leases/revoke'), before + 1)
  })

  await t.test('at the end of what was revoked nothing is said to be left', async (t) => {
    const { client_token: token } = await broker.tokenFor('path "aws/creds/ec2-only" { capabilities = ["read"] }')
    const serving = await serve(bench, ['--no-resolve', '--check-interval', '1s'], { XDG_RUNTIME_DIR: temporary, LATCHKEY_TOKEN: token })
    await broker.must('POST', 'auth/token/revoke', { body: { token } })
    await until('it noticed', () => serving.running.words().includes('the token was revoked'), 20_000)
    const before = asked('update', 'sys/leases/revoke')
    t.notMatch((await stop(serving)).words, 'could not be ended')
    t.equal(asked('update', 'sys/leases/revoke'), before)
  })

  await t.test('a command finds the files of --sink from its first moment', async (t) => {
    const sinks = path.join(createFolder(t), 'sinks')
    const words = ['sidecar', '--role', 'ec2-only', '--sink-folder', sinks, '--sink', 'credentials', '--', 'cat', path.join(sinks, 'credentials')]
    t.match(await bench.run(words, { env }), { code: 0, out: /^\[default\]/ })
  })

  await t.test('--once writes the files and ends, and what was written lives', async (t) => {
    const sinks = path.join(createFolder(t), 'sinks')
    t.match(await bench.run(['sidecar', '--role', 'ec2-only', '--once', '--sink-folder', sinks, '--sink', 'credentials', '--sink', 'token'], { env }), { code: 0, out: '', words: '' })
    t.equal((await broker.ask('GET', 'auth/token/lookup-self', { token: readFileSync(path.join(sinks, 'token'), 'utf8') })).status, 200)
    const [, accessKeyId = '', secretAccessKey = '', sessionToken = ''] = /id = (.*)\n.* = (.*)\n.* = (.*)\n/.exec(readFileSync(path.join(sinks, 'credentials'), 'utf8')) ?? []
    t.match(await identify(emulator, { accessKeyId, secretAccessKey, sessionToken }), role)
    t.match(await bench.run(['sidecar', '--role', 'ec2-only', '--once'], { env }), { code: 2, words: /--once writes the files of --sink/ })
    t.match(await bench.run(['sidecar', '--role', 'nope', '--once', '--sink-folder', sinks, '--sink', 'token'], { env }), { code: 3 })
    t.strictSame(readdirSync(sinks), ['credentials'], 'a refused start leaves no token')
  })

  await t.test('SEC-328 SEC-329 a revoked token empties memory and files and gives 503; a broker that is away does not', async (t) => {
    const sinks = path.join(createFolder(t), 'sinks')
    const serving = await serve(bench, ['--check-interval', '1s', '--sink-folder', sinks, '--sink', 'credentials', '--sink', 'token'], env)
    const before = asked('update', 'auth/approle/login')
    await broker.must('POST', 'auth/token/revoke', { body: { token: readFileSync(path.join(sinks, 'token'), 'utf8') } })
    await until('it gives nothing', async () => (await serving.ask()).status === 503, 20_000)
    await until('the files are gone', () => readdirSync(sinks).length === 0)
    t.match(await serving.ask(), { status: 503, body: { Code: 'CredentialsUnavailable', Message: String } })
    t.match(serving.running.words(), /the token was revoked: nothing is given any more/)
    t.equal(asked('update', 'auth/approle/login'), before, 'nobody logs in again by himself')
    t.equal((await stop(serving)).code, 0)

    const other = await serve(bench, ['--check-interval', '1s'], env)
    await broker.stop()
    await until('it noticed', () => other.running.words().includes('looked at again later'), 20_000)
    t.match(await other.ask(), { status: 200 })
    const { code, words } = await stop(other)
    t.equal(code, 0)
    t.match(words, /could not be ended: it ends at its own time/)
  })
})

t.test('a sidecar waits for a broker that is not there yet, and not for one that refuses', async (t) => {
  const env = { LATCHKEY_ROLE_ID: 'x', LATCHKEY_SECRET_ID: 'y', HOME: createFolder(t) }
  const words = ['sidecar', '--role', 'deploy', '--', 'sh', '-c', 'echo ran']
  const late = await startImpostor(t, (request, response, count) => {
    const auth = { client_token: 'made', lease_duration: 1200, renewable: true, policies: [] }
    const data = { access_key: 'ASIA1', secret_key: 'secret', security_token: 'token' }
    if (count <= 2) return json(response, 503, { errors: ['the store is not available'] }, { 'retry-after': '1' })
    if (request.url === '/v1/auth/approle/login') return json(response, 200, { auth })
    if (request.url === '/v1/aws/creds/deploy') return json(response, 200, { lease_id: 'x', lease_duration: 900, data })
    return json(response, request.method === 'GET' ? 404 : 204, {})
  })
  t.match(await latchkey(t, words, { env: { ...env, LATCHKEY_ADDR: late.address } }), { code: 0, out: 'ran\n', words: /the store is not available \(503\); waiting for it/ })
  t.equal(late.seen.filter((line) => line.endsWith('/login')).length, 3)
  const lost = await startImpostor(t, (_request, response) => { response.socket?.destroy() })
  t.match(await latchkey(t, words, { env: { ...env, LATCHKEY_ADDR: lost.address } }), { code: 5, out: '' })
  t.equal(lost.seen.length, 1, 'a login whose answer was lost is not tried again')
  const refusing = await startImpostor(t, (_request, response) => json(response, 400, { errors: ['invalid role or secret ID'] }))
  t.match(await latchkey(t, words, { env: { ...env, LATCHKEY_ADDR: refusing.address } }), { code: 3, out: '', words: /invalid role or secret ID/ })
  const running = start(t, words, { env: { ...env, LATCHKEY_ADDR: 'http://127.0.0.1:1' } })
  await until('it waits', () => running.words().includes('waiting for it'), 20_000)
  running.child.kill('SIGTERM')
  t.match(await running.ended, { code: 5, out: '' }, 'nor when it is stopped')
})

t.test('a sidecar that has no place for its file, or no port, says so in a sentence and ends', async (t) => {
  const home = createFolder(t)
  const words = ['sidecar', '--role', 'deploy']
  const env = { LATCHKEY_ROLE_ID: 'x', LATCHKEY_SECRET_ID: 'y', HOME: home, LATCHKEY_ADDR: 'http://127.0.0.1:1', TMPDIR: home }
  const other = await startImpostor(t, (_request, response) => json(response, 404, {}))
  const missing = path.join(home, 'missing')
  t.match(await latchkey(t, [...words, '--authorization-file', home], { env }), { code: 2, words: /cannot be used: it is no file/ })
  t.match(await latchkey(t, words, { env: { ...env, TMPDIR: missing } }), { code: 2, words: /there is no place for the file of the authorization \(ENOENT\)/ })
  t.match(await latchkey(t, [...words, '--listen', `127.0.0.1:${other.port}`], { env }), { code: 2, words: /EADDRINUSE/ })
  t.match(await latchkey(t, [...words, '--listen', `127.0.0.1:${other.port}`], { env: { ...env, XDG_RUNTIME_DIR: missing } }), { code: 2, words: /EADDRINUSE/ })
  t.strictSame(readdirSync(home), [], 'and leaves nothing')
})

t.test('SEC-331 the help names every variable, and the sidecar takes no secret as an option', async (t) => {
  for (const option of ['--authorization', '--token', '--secret-id', '--secret-key']) {
    t.match(await latchkey(t, ['sidecar', '--role', 'x', option, 'CNRYsecret']), { code: 2, words: /^(?!.*CNRY).*never taken from the command line/ })
  }
})
