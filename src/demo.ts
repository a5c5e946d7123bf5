import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createSigner, type SignedPost } from './engines/aws/sigv4.ts'

/**
 * Plays a CI run against a broker: logs in, fetches credentials of `ec2-only`, uses them, revokes
 * them, logs out. Uses the broker at LATCHKEY_LISTEN where LATCHKEY_DEV_ROOT_TOKEN is the root token
 * of one that runs there; else starts one of its own, in a folder that is removed.
 */
const region = 'us-east-1'
let failures = 0

type Body = { readonly [name: string]: unknown }

interface Answer { readonly status: number, readonly body: Body, readonly headers: Headers }

interface Broker {
  readonly address: string
  readonly rootToken: string
  stop (): Promise<void>
}

const broker = await findRunning() ?? await startOwn()
try {
  await play(broker)
} finally {
  await broker.stop()
}
process.stdout.write(failures === 0 ? '\nThe demo went as it should.\n' : `\n${failures} step(s) went wrong.\n`)
process.exit(failures === 0 ? 0 : 1)

async function play ({ address, rootToken }: Broker): Promise<void> {
  const ask = (method: string, target: string, token: string | null, body?: Body) =>
    send(address, method, target, token, body)
  const emulator = textAt(await ask('GET', 'aws/config/root', rootToken), 'data', 'sts_endpoint')
  const roleId = textAt(await ask('GET', 'auth/approle/role/ci/role-id', rootToken), 'data', 'role_id')
  const metadata = '{"run_id":"demo-42"}'
  const made = await ask('POST', 'auth/approle/role/ci/secret-id', rootToken, { ttl: '5m', metadata })
  const secretId = textAt(made, 'data', 'secret_id')

  const login = await ask('POST', 'auth/approle/login', null, { role_id: roleId, secret_id: secretId })
  const token = textAt(login, 'auth', 'client_token')
  step('log in with role_id and secret_id', login.status === 200 && token !== '', `policies ${JSON.stringify(at(login.body, 'auth', 'policies'))}`)

  const vend = await ask('GET', 'aws/creds/ec2-only', token)
  const leaseId = String(vend.body['lease_id'])
  const keys = {
    accessKeyId: textAt(vend, 'data', 'access_key'),
    secretAccessKey: textAt(vend, 'data', 'secret_key'),
    sessionToken: textAt(vend, 'data', 'security_token')
  }
  step('fetch credentials of ec2-only', vend.status === 200, `${keys.accessKeyId}, lease ${leaseId}, ${String(vend.body['lease_duration'])} s`)

  const call = (service: string, form: string) => callAws(emulator, service, form, keys)
  const identity = await call('sts', 'Action=GetCallerIdentity&Version=2011-06-15')
  const arn = /<Arn>([^<]+)<\/Arn>/.exec(identity.text)?.[1] ?? ''
  step('GetCallerIdentity names the role and the run', identity.status === 200 && arn.includes('/demo-42.'), arn)

  const regions = await call('ec2', 'Action=DescribeRegions&Version=2016-11-15')
  step('an EC2 call is allowed', regions.status === 200, `DescribeRegions answers ${regions.status}`)
  const users = await call('iam', 'Action=ListUsers&Version=2010-05-08')
  step('an IAM call is refused', users.status === 403 && users.text.includes('AccessDenied'), `ListUsers answers ${users.status}`)

  const lease = await ask('PUT', 'sys/leases/lookup', token, { lease_id: leaseId })
  step('the lease is known', lease.status === 200, `${String(at(lease.body, 'data', 'ttl'))} s left`)
  const revoked = await ask('PUT', 'sys/leases/revoke', token, { lease_id: leaseId })
  step('revoke the lease', revoked.status === 204, `the session itself dies at ${revoked.headers.get('x-latchkey-session-dies-at') ?? 'an unknown time'}`)
  const gone = await ask('PUT', 'sys/leases/lookup', token, { lease_id: leaseId })
  step('the lease is gone', gone.status === 400, JSON.stringify(gone.body['errors']))

  const logout = await ask('POST', 'auth/token/revoke-self', token)
  const refused = await ask('GET', 'auth/token/lookup-self', token)
  step('log out, after which the token is refused', logout.status === 204 && refused.status === 403, `${logout.status}, then ${refused.status}`)
}

function step (what: string, holds: boolean, detail: string): void {
  if (!holds) failures++
  process.stdout.write(`${holds ? 'ok    ' : 'WRONG '} ${what}: ${detail}\n`)
}

async function send (
  address: string, method: string, target: string, token: string | null, body?: Body
): Promise<Answer> {
  const response = await fetch(`${address}/v1/${target}`, {
    method,
    redirect: 'error',
    signal: AbortSignal.timeout(15_000),
    headers: token === null ? {} : { 'x-vault-token': token },
    ...(body !== undefined && { body: JSON.stringify(body) })
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text === '' ? {} : JSON.parse(text) as Body }
}

type Keys = SignedPost['credentials']

async function callAws (endpoint: string, service: string, body: string, credentials: Keys) {
  const contentType = 'application/x-www-form-urlencoded'
  const { host } = new URL(endpoint)
  const signed = createSigner({ region, service }).sign({ host, contentType, body, credentials, nowMs: Date.now() })
  const response = await fetch(endpoint, {
    method: 'POST',
    redirect: 'error',
    signal: AbortSignal.timeout(15_000),
    headers: { 'content-type': contentType, ...signed },
    body
  })
  return { status: response.status, text: await response.text() }
}

function at (body: Body, ...names: readonly string[]): unknown {
  const isBody = (value: unknown): value is Body => typeof value === 'object' && value !== null
  return names.reduce<unknown>((here, name) => isBody(here) ? here[name] : undefined, body)
}

function textAt ({ body }: Answer, ...names: readonly string[]): string {
  const value = at(body, ...names)
  return typeof value === 'string' ? value : ''
}

async function findRunning (): Promise<Broker | null> {
  const rootToken = process.env['LATCHKEY_DEV_ROOT_TOKEN'] ?? ''
  const address = `http://${process.env['LATCHKEY_LISTEN'] ?? '127.0.0.1:8200'}`
  if (rootToken === '') return null
  const found = await send(address, 'GET', 'auth/token/lookup-self', rootToken).catch(() => null)
  if (found?.status !== 200) return null
  process.stdout.write(`Using the broker at ${address}.\n\n`)
  return { address, rootToken, stop: async () => {} }
}

/** Starts a broker that nobody else uses, on free ports and an empty folder. */
async function startOwn (): Promise<Broker> {
  const folder = mkdtempSync(path.join(tmpdir(), 'latchkey-demo-'))
  const rootToken = `demo-${randomBytes(16).toString('hex')}`
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'server.ts'), '--development'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      LATCHKEY_LISTEN: '127.0.0.1:0',
      LATCHKEY_DATA_DIR: folder,
      LATCHKEY_DEV_ROOT_TOKEN: rootToken,
      LATCHKEY_LOG_LEVEL: 'warn'
    }
  })
  const address = await readAddress(child)
  process.stdout.write(`Started a broker for the demo at ${address}.\n\n`)
  return {
    address,
    rootToken,
    async stop () {
      const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      const code = await ended
      step('the broker stops when told to', code === 0, `exit code ${String(code)}`)
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

function readAddress (child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8')
      const found = /Latchkey serves at (http:\/\/[^\s]+)/.exec(text)
      if (found?.[1] !== undefined) resolve(found[1])
    })
    child.once('exit', (code) => reject(new Error(`the broker ended with code ${String(code)} before it served`)))
  })
}
