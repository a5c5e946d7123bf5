import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import type { JsonObject } from '../../src/core/json.ts'

const rootToken = 'fault-root-token'

/** A credential that the mock STS made, noted before it was answered. */
export interface Minted {
  readonly sessionName: string
  readonly expiresAtMs: number
}

/** A stand-in for STS that notes every credential before it answers; `hold` keeps answers back. */
export async function startMockSts (t: Test) {
  const ledger: Minted[] = []
  let gate: Promise<void> | null = null
  const server = http.createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => { body += chunk })
    request.on('end', () => {
      const asked = new URLSearchParams(body)
      const sessionName = asked.get('RoleSessionName') ?? ''
      const expiresAtMs = Math.floor(Date.now() / 1000 + Number(asked.get('DurationSeconds'))) * 1000
      ledger.push({ sessionName, expiresAtMs })
      server.emit('minted')
      void (gate ?? Promise.resolve()).then(() => response.writeHead(200, { 'content-type': 'text/xml' }).end(
        `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
         <AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:${sessionName}</AssumedRoleId>
         <Arn>arn:aws:sts::123456789012:assumed-role/demo/${sessionName}</Arn></AssumedRoleUser>
         <Credentials><AccessKeyId>ASIA${String(ledger.length).padStart(16, '0')}</AccessKeyId>
         <SecretAccessKey>canary-secret-key</SecretAccessKey><SessionToken>canary-session-token</SessionToken>
         <Expiration>${new Date(expiresAtMs).toISOString()}</Expiration></Credentials></AssumeRoleResult>
         <ResponseMetadata><RequestId>c6104cbe-af31-11e0-8154-000000000001</RequestId></ResponseMetadata></AssumeRoleResponse>`))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the mock has no port')
  return {
    ledger,
    url: `http://127.0.0.1:${address.port}`,
    /** Resolves when the next credential was made. */
    minted: () => once(server, 'minted'),
    /** Keeps answers back until the function it returns is called. */
    hold () {
      let release = () => {}
      gate = new Promise((resolve) => { release = resolve })
      return () => {
        gate = null
        release()
      }
    }
  }
}

export type MockSts = Awaited<ReturnType<typeof startMockSts>>

export interface BrokerOptions {
  readonly crashAt?: string
  readonly offsetSeconds?: number
}

/** A broker in a process of its own. */
export interface BrokerProcess {
  readonly process: ChildProcess
  /** Asks as root, or with another token. @throws when the broker dies or does not answer. */
  ask (method: string, target: string, more?: Asked): Promise<Answer>
  /** Resolves when the process has ended, with the signal that ended it. */
  ended (): Promise<NodeJS.Signals | null>
  kill (): Promise<void>
}

/** What a request has besides its method and target. */
export interface Asked {
  readonly body?: JsonObject
  /** Absent: the root token. */
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** The parsed body; an empty object where there is none. */
  readonly body: Record<string, never>
}

/** A data folder that brokers of one test share, one after the other; `copyOf` another one, whose broker has ended. */
export function createBrokerFolder (t: Test, copyOf?: string) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'latchkey-faults-'))
  if (copyOf !== undefined) cpSync(copyOf, folder, { recursive: true })
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))

  return {
    folder,
    /** The audit entries so far. */
    audit: (): JsonObject[] => readFileSync(path.join(folder, 'audit.log'), 'utf8').trim().split('\n')
      .map((line) => JSON.parse(line) as JsonObject),
    start: (options: BrokerOptions = {}) => startBroker(t, folder, options)
  }
}

async function startBroker (
  t: Test, folder: string, { crashAt, offsetSeconds = 0 }: BrokerOptions
): Promise<BrokerProcess> {
  const script = path.join(import.meta.dirname, '../helpers/crashing-broker.ts')
  const child = spawn(process.execPath, [script, '--development'], {
    env: {
      LATCHKEY_DATA_DIR: folder,
      LATCHKEY_LISTEN: '127.0.0.1:0',
      LATCHKEY_EMULATOR: 'off',
      LATCHKEY_DEV_ROOT_TOKEN: rootToken,
      LATCHKEY_LOG_LEVEL: 'fatal',
      CLOCK_OFFSET_SECONDS: String(offsetSeconds),
      ...(crashAt !== undefined && { CRASH_AT: crashAt })
    },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const exit = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })
  const failed = exit.then(() => { throw new Error('the broker did not start') })
  const [line] = await Promise.race([once(lines, 'line'), failed]) as [string]
  const { address } = JSON.parse(line) as { address: string }
  const ended = async () => (await exit)[1] as NodeJS.Signals | null
  async function kill () {
    child.kill('SIGKILL')
    await exit
  }
  t.teardown(kill)
  return {
    process: child,
    ended,
    kill,
    async ask (method, target, { body, token = rootToken, headers = {}, signal } = {}) {
      const response = await fetch(`${address}/v1/${target}`, {
        method,
        headers: { ...headers, 'x-vault-token': token },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: signal ?? AbortSignal.timeout(30_000)
      })
      const text = await response.text()
      return { status: response.status, headers: response.headers, body: text === '' ? {} : JSON.parse(text) }
    }
  }
}

/** Writes as root and expects no content. */
async function write (broker: BrokerProcess, target: string, body: JsonObject): Promise<void> {
  const answer = await broker.ask('POST', target, { body })
  if (answer.status !== 204) throw new Error(`${target} was not written: ${JSON.stringify(answer.body)}`)
}

/** Mounts the AWS engine with one role, and a policy for whom it is made. */
export async function prepareAws (broker: BrokerProcess, sts: MockSts): Promise<void> {
  const roleArn = 'arn:aws:iam::123456789012:role/demo'
  await write(broker, 'sys/mounts/cloud', { type: 'aws' })
  await write(broker, 'cloud/config/root', {
    access_key: 'AKIAEXAMPLE', secret_key: 'secret', region: 'us-east-1', sts_endpoint: sts.url
  })
  await write(broker, 'cloud/roles/d', { credential_type: 'assumed_role', role_arns: roleArn })
  await write(broker, 'sys/policies/acl/vend', { policy: 'path "cloud/sts/d" { capabilities = ["read"] }' })
}

/** A token that may vend, and nothing else. */
export async function makeVendor (broker: BrokerProcess): Promise<{ token: string, accessor: string }> {
  const { body } = await broker.ask('POST', 'auth/token/create', { body: { policies: ['vend'], ttl: '2h' } })
  const { auth } = body as unknown as { auth: { client_token: string, accessor: string } }
  return { token: auth.client_token, accessor: auth.accessor }
}

/** A session as `sys/latchkey/sessions` shows it. */
export interface ShownSession {
  readonly lease_id: string
  readonly state: string
  readonly session_name: string
  readonly token_accessor: string
  readonly dies_at: string
}

/** Sessions of a token, or all, 1,000 at most. */
export async function sessionsOf (broker: BrokerProcess, filter = ''): Promise<ShownSession[]> {
  const { body } = await broker.ask('GET', `sys/latchkey/sessions?limit=1000${filter}`)
  const { data } = body as unknown as { data: { sessions: ShownSession[] } }
  return data.sessions
}

/** Looks again until something holds, for ten seconds. */
export async function until<T> (look: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
  for (const endMs = performance.now() + 10_000; ;) {
    const value = await look()
    if (holds(value) || performance.now() > endMs) return value
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
