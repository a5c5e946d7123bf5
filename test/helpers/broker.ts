import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { isJsonObject, type JsonObject } from '../../src/core/json.ts'
import { startEmulator, type Emulator } from '../../src/emulator/server.ts'
import type { Teardown } from './redis.ts'

/** How a broker under test starts; everything has a default. */
export interface BrokerOptions {
  /** Its data folder; one of its own unless given. */
  readonly folder?: string
  /** `redis://…`; SQLite in the data folder unless given. */
  readonly store?: string
  /** Shared by brokers of one store. */
  readonly masterKeyFile?: string
  /** The AWS that it assumes roles at; none unless given. */
  readonly emulator?: Emulator
  /** Further settings of the environment; undefined takes one away. */
  readonly settings?: Readonly<Record<string, string | undefined>>
  readonly flags?: readonly string[]
  /** The program that is run, in place of the broker's own: one that serves as it does. */
  readonly program?: string
}

/** What a request has besides its method and path. */
export interface Asked {
  /** null: none. Absent: the development root token. */
  readonly token?: string | null
  /** An object is sent as JSON; a text as it is. */
  readonly body?: JsonObject | string | Buffer
  readonly headers?: http.OutgoingHttpHeaders
  /** An address of this machine that the request comes from: `127.0.0.9`. */
  readonly from?: string
  readonly signal?: AbortSignal
}

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly text: string
  /** The parsed body; an empty object where there is none. */
  readonly body: Body
}

/** A parsed answer, as deep as a test looks into it. */
export interface Body {
  readonly [name: string]: unknown
  readonly request_id?: string
  readonly lease_id?: string
  readonly lease_duration?: number
  readonly errors?: string[]
  readonly warnings?: string[] | null
  readonly data?: Record<string, unknown> | null
  readonly auth?: Auth | null
  readonly wrap_info?: WrapInfo | null
}

export interface WrapInfo {
  readonly token: string
  readonly accessor: string
  readonly ttl: number
  readonly creation_path: string
  readonly wrapped_accessor?: string
}

export interface Auth {
  readonly client_token: string
  readonly accessor: string
  readonly policies: string[]
  readonly lease_duration: number
  readonly num_uses: number
  readonly metadata: Record<string, string> | null
}

/** A real broker, in a process of its own. */
export interface TestBroker {
  readonly address: string
  readonly port: number
  readonly folder: string
  readonly process: ChildProcess
  /** From the start of the process to the line that says where it serves. */
  readonly startMs: number
  /** All that it wrote to standard output and standard error. */
  output (): string
  /** Sends one request over a real connection; the path is below `/v1/` and goes out as it is. @throws when no whole answer comes. */
  ask (method: string, target: string, asked?: Asked): Promise<Answer>
  /** As `ask`, and throws unless the answer is a success. */
  must (method: string, target: string, asked?: Asked): Promise<Answer>
  /** A token with these rules, and those of `default` unless told otherwise. */
  tokenFor (policy: string, fields?: JsonObject): Promise<Auth>
  /** The audit log's entries so far. */
  audit (): AuditLine[]
  auditText (): string
  /** Ends it as `kill -9` would. */
  kill9 (): Promise<void>
  /** Resolves when it has ended, with the signal that ended it. */
  ended (): Promise<NodeJS.Signals | null>
  /** Asks it to stop, and answers its exit code. */
  stop (): Promise<number | null>
  /** Starts it again on the same folder and store; it must have ended. */
  restart (): Promise<void>
}

/** An entry of the audit log. */
export interface AuditLine extends JsonObject {
  readonly type: 'request' | 'response'
  readonly request: JsonObject & { readonly id: string, readonly operation: string, readonly path: string }
}

export const rootToken = 'test-root-token-of-development'

const server = path.join(import.meta.dirname, '../../src/server.ts')
/** The broker that ends itself at a crash point, `settings: { CRASH_AT: 'after-rotation:3' }`. */
export const crashingBroker = path.join(import.meta.dirname, 'crashing-broker.ts')
const agent = new http.Agent({ keepAlive: true, maxSockets: 48 })

/** Flags of the process that `npm start` gives. */
export const nodeFlags = ['--disable-proto=throw', '--disable-sigusr1', '--report-exclude-env']

/** A folder of a test's own. */
export function createFolder (t: Teardown): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'latchkey-test-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** An AWS of a test's own, in its process. */
export async function startAws (t: Teardown): Promise<Emulator> {
  const emulator = await startEmulator()
  t.teardown(() => emulator.close())
  return emulator
}

/** Starts a development broker and waits until it serves. */
export async function startBroker (t: Teardown, options: BrokerOptions = {}): Promise<TestBroker> {
  const folder = options.folder ?? createFolder(t)
  let running = await launch(options, folder)
  t.teardown(async () => { await running.kill() })
  const ask = (method: string, target: string, asked: Asked = {}) => send(running.address, method, `/v1/${target}`, asked)
  const auditFile = path.join(folder, 'audit.log')
  let policies = 0

  async function must (method: string, target: string, asked: Asked = {}): Promise<Answer> {
    const answer = await ask(method, target, asked)
    if (answer.status >= 300) throw new Error(`${method} ${target} is ${answer.status} ${answer.text}`)
    return answer
  }

  return {
    get address () { return running.address },
    get port () { return Number(new URL(running.address).port) },
    get process () { return running.child },
    get startMs () { return running.startMs },
    folder,
    output: () => running.output(),
    ask,
    must,
    async tokenFor (policy, fields = {}) {
      const name = `made-${process.pid}-${++policies}`
      await must('PUT', `sys/policies/acl/${name}`, { body: { policy } })
      return authOf(await must('POST', 'auth/token/create', { body: { policies: [name], ...fields } }))
    },
    audit: () => readFileSync(auditFile, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as AuditLine),
    auditText: () => readFileSync(auditFile, 'utf8'),
    kill9: () => running.kill(),
    ended: () => running.ended(),
    stop: () => running.stop(),
    async restart () { running = await launch(options, folder) }
  }
}

/** The environment of a broker under test: nothing of the machine's but the search path. */
export function environmentOf (options: BrokerOptions, folder: string): NodeJS.ProcessEnv {
  const { store, masterKeyFile, emulator, settings } = options
  const { PATH } = process.env
  const all: Record<string, string | undefined> = {
    PATH,
    LATCHKEY_LISTEN: '127.0.0.1:0',
    LATCHKEY_DATA_DIR: folder,
    LATCHKEY_DEV_ROOT_TOKEN: rootToken,
    LATCHKEY_EMULATOR: emulator?.endpoint ?? 'off',
    LATCHKEY_STORE: store,
    LATCHKEY_MASTER_KEY_FILE: masterKeyFile,
    ...settings
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

/** Runs a broker that is expected not to start; answers how it ended. */
export async function startRefused (
  t: Teardown, options: BrokerOptions = {}
): Promise<{ code: number | null, output: string }> {
  const folder = options.folder ?? createFolder(t)
  const child = spawnBroker(options, folder)
  t.teardown(() => { child.kill('SIGKILL') })
  let output = ''
  child.stdout.on('data', (chunk) => { output += chunk })
  child.stderr.on('data', (chunk) => { output += chunk })
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000)
  const [code] = await once(child, 'close') as [number | null]
  clearTimeout(timer)
  return { code, output }
}

function spawnBroker (options: BrokerOptions, folder: string) {
  const { flags = ['--development'], program = server } = options
  return spawn(process.execPath, [...nodeFlags, program, ...flags], {
    env: environmentOf(options, folder), stdio: ['ignore', 'pipe', 'pipe']
  })
}

async function launch (options: BrokerOptions, folder: string) {
  const from = performance.now()
  const child = spawnBroker(options, folder)
  let output = ''
  const exit = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  const address = await new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk.toString('utf8')
      const found = /"address":"(https?:\/\/[^"]+)".*"msg":"the broker serves"/.exec(output) ?? /serves at (http:\/\/\S+) /.exec(output)
      if (found?.[1] !== undefined) resolve(found[1])
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    void exit.then(([code]) => reject(new Error(`the broker ended with ${String(code)}: ${output}`)))
  })
  const startMs = performance.now() - from
  return {
    child,
    address,
    startMs,
    output: () => output,
    async kill () {
      child.kill('SIGKILL')
      await exit
    },
    ended: async () => (await exit)[1],
    async stop () {
      child.kill('SIGTERM')
      return (await exit)[0]
    }
  }
}

function send (address: string, method: string, target: string, asked: Asked): Promise<Answer> {
  const { token = rootToken, body, headers, from, signal = AbortSignal.timeout(30_000) } = asked
  const bytes = body === undefined ? null : typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
  const { hostname, port } = new URL(address)
  return new Promise((resolve, reject) => {
    const request = http.request({
      hostname,
      port,
      method,
      path: target,
      agent,
      signal,
      headers: {
        ...(token !== null && { 'x-vault-token': token }),
        ...(bytes !== null && { 'content-length': Buffer.byteLength(bytes) }),
        ...headers
      },
      ...(from !== undefined && { localAddress: from })
    }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => { text += chunk })
      response.on('error', reject)
      response.on('end', () => {
        const isJson = response.headers['content-type'] === 'application/json'
        const parsed: unknown = isJson && text !== '' ? JSON.parse(text) : {}
        const body = isJsonObject(parsed) ? parsed as Body : {}
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body })
      })
    })
    request.on('error', reject)
    request.end(bytes ?? undefined)
  })
}

/** The token that an answer hands out. @throws when it hands out none. */
export function authOf ({ body, text }: Answer): Auth {
  if (!body.auth) throw new Error(`no token in ${text}`)
  return body.auth
}

/** A text in an answer's data. @throws when it is not there. */
export function textOf ({ body, text }: Answer, name: string): string {
  const value = body.data?.[name]
  if (typeof value !== 'string') throw new Error(`no ${name} in ${text}`)
  return value
}

/** The wrapping token that an answer hands out. @throws when it hands out none. */
export function wrapOf ({ body, text }: Answer) {
  if (!body.wrap_info) throw new Error(`no wrapping token in ${text}`)
  return body.wrap_info
}

/** An AppRole role on `auth/approle/`, and how to log in. */
export async function createRole (broker: TestBroker, name: string, fields: JsonObject = {}) {
  await broker.must('POST', `auth/approle/role/${name}`, { body: fields })
  const roleId = textOf(await broker.must('GET', `auth/approle/role/${name}/role-id`), 'role_id')
  return {
    roleId,
    async secretId (more: JsonObject = {}) {
      const made = await broker.must('POST', `auth/approle/role/${name}/secret-id`, { body: more })
      return { secretId: textOf(made, 'secret_id'), accessor: textOf(made, 'secret_id_accessor') }
    },
    /** Logs in at this broker, or at another one of the same store. */
    login: (secretId: string, asked: Asked = {}, at: TestBroker = broker) =>
      at.ask('POST', 'auth/approle/login', { token: null, body: { role_id: roleId, secret_id: secretId }, ...asked })
  }
}

/** How many answers there were of each status. */
export function countByStatus (answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

/**
 * What is wrong with an audit log: ids without exactly one request and one response entry, and
 * texts that must not be there in clear.
 */
export function auditFaults (broker: TestBroker, secrets: readonly string[] = []): string[] {
  const counts = new Map<string, { request: number, response: number }>()
  for (const { type, request } of broker.audit()) {
    if (request.path === 'sys/audit/test') continue
    const count = counts.get(request.id) ?? { request: 0, response: 0 }
    count[type]++
    counts.set(request.id, count)
  }
  const unpaired = [...counts].filter(([, { request, response }]) => request !== 1 || response !== 1)
  const text = broker.auditText()
  return [
    ...unpaired.map(([id, { request, response }]) => `${id} has ${request} request and ${response} response entries`),
    ...secrets.filter((secret) => text.includes(secret)).map((secret) => `${secret} stands in the audit log`)
  ]
}
