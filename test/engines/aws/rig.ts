import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createSocketServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createOperationTable } from '../../../src/broker/operation-table.ts'
import type { Call, Issued, Outcome, Verb } from '../../../src/core/backend.ts'
import type { Clock } from '../../../src/core/clock.ts'
import { readInput } from '../../../src/core/fields.ts'
import type { Json, JsonObject } from '../../../src/core/json.ts'
import type { Caller } from '../../../src/core/model.ts'
import { createAwsEngine, type AwsEngineOptions } from '../../../src/engines/aws/engine.ts'
import { createMountStore } from '../../../src/mounts/mount-store.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import { mountAt } from '../../leases/rig.ts'

export const account = '123456789012'
export const demoArn = `arn:aws:iam::${account}:role/demo`

export interface Vended extends Issued {
  readonly leaseId: string
  /** What was written with the intent. */
  readonly intent: Json
}

export interface EngineRigOptions extends Partial<AwsEngineOptions> {
  readonly ttlSecondsMax?: number
}

/** The engine on a memory store, driven as the door drives it: match, read input, run, settle. */
export function createEngineRig (options: EngineRigOptions = {}) {
  const clock: Clock = options.clock ?? Date
  const store = createMemoryStore()
  const mount = mountAt('aws')
  const engine = createAwsEngine({
    egress: { development: true, allowedHosts: [] },
    identity: 'static',
    ...options,
    clock
  })
  const table = createOperationTable(engine.operations)
  const bounds = { ttlSecondsDefault: 2_764_800, ttlSecondsMax: options.ttlSecondsMax ?? 2_764_800 }

  async function run (verb: Verb, path: string, data: JsonObject = {}, caller: Partial<Caller> = {}): Promise<Outcome> {
    const match = table.match(path, verb)
    if (!match?.operation) throw new Error(`no operation ${verb} ${path}`)
    const { input } = readInput(match.operation.fields, data, match.captured, 'Field validation failed: ')
    const call: Call = {
      mount,
      store: createMountStore(store, mount.accessor),
      nowMs: clock.now(),
      ttlBounds: bounds,
      request: {
        id: 'b9a1c6c2-7c57-4c3b-9a3e-5f2b8c1d0e9f', path: `aws/${path}`, operation: verb === 'write' ? 'update' : 'read',
        remoteAddress: '127.0.0.1', wrapTtlSeconds: null, clientToken: null, data, bodyText: null, accept: '', ifNoneMatch: ''
      },
      caller: { accessor: '4fabc', displayName: 'root', metadata: null, ...caller },
      token: null,
      usesLeft: null
    }
    return match.operation.run(call, input)
  }

  return {
    engine,
    store,
    run,
    write: (path: string, data: JsonObject, caller?: Partial<Caller>) => run('write', path, data, caller),
    async read (path: string): Promise<JsonObject | null> {
      const outcome = await run('read', path)
      return outcome.kind === 'data' ? outcome.data : null
    },
    /** Fetches a credential as settlement does: the intent first, then the one call. */
    async vend (path: string, data: JsonObject = {}, caller: Partial<Caller> = {}): Promise<Vended> {
      const outcome = await run('read', path, data, caller)
      if (outcome.kind !== 'credential') throw new Error(`a ${outcome.kind} is no credential`)
      const leaseId = `4f${randomBytes(11).toString('hex')}`
      const intent = outcome.revocation(leaseId)
      return { ...await outcome.issue(leaseId), leaseId, intent }
    },
    configure: (endpoint: string, more: JsonObject = {}) => run('write', 'config/root', {
      access_key: 'AKIAEXAMPLEEXAMPLE00', secret_key: 'a-secret-key', region: 'us-east-1', sts_endpoint: endpoint, ...more
    })
  }
}

export type EngineRig = ReturnType<typeof createEngineRig>

/** Reads of an object that a test knows to be one. */
export function at (value: Json | undefined, name: string): Json | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject)[name] : undefined
}

/** One request as STS saw it. */
export interface Seen {
  readonly headers: IncomingMessage['headers']
  readonly form: URLSearchParams
}

/** What a stand-in for STS answers: parts of a well-formed answer, or anything at all through `socket`. */
export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

export interface StsStub {
  readonly url: string
  readonly port: number
  readonly seen: Seen[]
  close (): Promise<void>
}

/** A loopback server that counts what reaches it. `null` as an answer: the connection is cut. */
export async function startSts (answer: (seen: Seen, socket: Socket) => Answer | null): Promise<StsStub> {
  const seen: Seen[] = []
  const server = createServer((message, response) => {
    const chunks: Buffer[] = []
    message.on('data', (chunk: Buffer) => chunks.push(chunk))
    message.on('end', () => {
      const one = { headers: message.headers, form: new URLSearchParams(Buffer.concat(chunks).toString()) }
      seen.push(one)
      const given = answer(one, message.socket)
      if (given === null) return
      response.writeHead(given.status ?? 200, { 'content-type': 'text/xml', ...given.headers })
      response.end(given.body ?? assumed(one.form))
    })
  })
  const port = await listenOnLoopback(server)
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    seen,
    close: () => new Promise((resolve) => {
      server.close(() => { resolve() })
      server.closeAllConnections()
    })
  }
}

/** A port of loopback on which nothing listens any more. */
export async function closedPort (): Promise<number> {
  const server = createSocketServer()
  const port = await listenOnLoopback(server)
  await new Promise((resolve) => { server.close(resolve) })
  return port
}

export function listenOnLoopback (server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => { resolve((server.address() as AddressInfo).port) })
  })
}

let keys = 0

export interface AssumedParts {
  readonly accessKeyId?: string
  readonly arn?: string
  readonly id?: string
  readonly expiration?: string
  readonly credentials?: string
  readonly before?: string
}

/** A well-formed answer to AssumeRole, with parts replaced. */
export function assumed (form: URLSearchParams, parts: AssumedParts = {}): string {
  const name = form.get('RoleSessionName') ?? ''
  const [, accountId, roleName] = /^arn:aws:iam::(\d+):role\/(?:.*\/)?([^/]+)$/.exec(form.get('RoleArn') ?? '') ?? []
  const seconds = Number(form.get('DurationSeconds'))
  const expiration = parts.expiration ?? new Date(Date.now() + seconds * 1000).toISOString()
  const accessKeyId = parts.accessKeyId ?? `ASIA${String(++keys).padStart(16, '0')}`
  const credentials = parts.credentials ?? `<Credentials><AccessKeyId>${accessKeyId}</AccessKeyId>` +
    `<SecretAccessKey>wJalrXUtnFEMI/K7MDENG</SecretAccessKey><SessionToken>token-of-${name}</SessionToken><Expiration>${expiration}</Expiration></Credentials>`
  return `${parts.before ?? ''}<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>` +
    `<AssumedRoleUser><AssumedRoleId>${parts.id ?? `AROAEXAMPLE:${name}`}</AssumedRoleId>` +
    `<Arn>${parts.arn ?? `arn:aws:sts::${accountId}:assumed-role/${roleName}/${name}`}</Arn></AssumedRoleUser>${credentials}` +
    '</AssumeRoleResult><ResponseMetadata><RequestId>c6104cbe</RequestId></ResponseMetadata></AssumeRoleResponse>'
}

/** An error as STS sends it. */
export function refused (status: number, code: string, message: string, headers: Answer['headers'] = {}): Answer {
  return {
    status,
    headers,
    body: `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code>` +
      `<Message>${message}</Message></Error><RequestId>c6104cbe</RequestId></ErrorResponse>`
  }
}
