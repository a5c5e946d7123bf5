import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { createFolder, nodeFlags, startAws, startBroker, textOf, type BrokerOptions, type TestBroker } from '../helpers/broker.ts'
import type { Emulator } from '../../src/emulator/server.ts'
import type { Teardown } from '../helpers/redis.ts'
import { createScreen } from '../../src/cli/screen.ts'
import type { Parts } from '../../src/cli/parts.ts'

const main = path.join(import.meta.dirname, '../../src/cli/main.ts')

/** What a command gets besides its words. */
export interface Surroundings {
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Standard input; nothing unless given. */
  readonly input?: string
  readonly cwd?: string
}

/** How a command ended, and all that it wrote. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly words: string
}

/** A command that runs. */
export interface Running {
  readonly child: ChildProcess
  out (): string
  words (): string
  readonly ended: Promise<Ended>
}

/** A text that is found wherever it leaks to. */
export const canary = () => `CNRY${randomBytes(18).toString('base64url').replace(/[-_]/g, 'x')}`

/** Starts the command line as a process, with nothing of this one's environment but the search path. */
export function start (t: Teardown, words: readonly string[], { env = {}, input = '', cwd }: Surroundings = {}): Running {
  return startProgram(t, [process.execPath, ...nodeFlags, main, ...words], { env, input, ...(cwd !== undefined && { cwd }) })
}

/** Starts any program in the same way. */
export function startProgram (t: Teardown, [program = '', ...words]: readonly string[], { env = {}, input = '', cwd }: Surroundings): Running {
  const all = { PATH: process.env['PATH'], ...env }
  const child = spawn(program, words, {
    env: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)), stdio: 'pipe', ...(cwd !== undefined && { cwd })
  })
  t.teardown(() => { child.kill('SIGKILL') })
  let out = ''
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => { out += chunk.toString('utf8') })
  child.stderr.on('data', (chunk: Buffer) => { said += chunk.toString('utf8') })
  child.stdin.on('error', () => {}).end(input)
  const ended = (once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>)
    .then(([code, signal]) => ({ code, signal, out, words: said }))
  return { child, out: () => out, words: () => said, ended }
}

/** Runs the command line to its end. */
export function latchkey (t: Teardown, words: readonly string[], surroundings: Surroundings = {}): Promise<Ended> {
  return start(t, words, surroundings).ended
}

/** A broker with the example's roles and an AWS, and a home for the command line. */
export interface Bench {
  readonly broker: TestBroker
  readonly emulator: Emulator
  readonly home: string
  /** Where the broker is, and a home. */
  readonly env: Readonly<Record<string, string>>
  readonly roleId: string
  secretId (fields?: Readonly<Record<string, string | number>>): Promise<string>
  /** Writes a file of mode 0600 into the home; its path. */
  file (name: string, text: string): string
  /** The environment of somebody who can log in as the role `ci`. */
  identity (fields?: Readonly<Record<string, string | number>>): Promise<Record<string, string>>
  /** Runs to the end in this environment, and more. */
  run (words: readonly string[], surroundings?: Surroundings): Promise<Ended>
  start (words: readonly string[], surroundings?: Surroundings): Running
  /** How often an operation was asked for by now; `path` ends in `*` where anything may follow. */
  asked (operation: string, path: string): number
}

export async function startBench (t: Teardown, options: BrokerOptions = {}): Promise<Bench> {
  const emulator = await startAws(t)
  const broker = await startBroker(t, { emulator, ...options })
  const home = createFolder(t)
  const env = { HOME: home, LATCHKEY_ADDR: broker.address }
  const roleId = textOf(await broker.must('GET', 'auth/approle/role/ci/role-id'), 'role_id')
  let files = 0
  const file = (name: string, text: string) => {
    const place = path.join(home, name)
    writeFileSync(place, text, { mode: 0o600 })
    return place
  }
  const secretId = async (fields: Readonly<Record<string, string | number>> = {}) =>
    textOf(await broker.must('POST', 'auth/approle/role/ci/secret-id', { body: fields }), 'secret_id')
  const surround = ({ env: more = {}, ...others }: Surroundings = {}) => ({ ...others, env: { ...env, ...more } })
  return {
    broker,
    emulator,
    home,
    env,
    roleId,
    secretId,
    file,
    async identity (fields = {}) {
      return { LATCHKEY_ROLE_ID: roleId, LATCHKEY_SECRET_ID_FILE: file(`secret-id-${++files}`, await secretId(fields)) }
    },
    run: (words, surroundings) => latchkey(t, words, surround(surroundings)),
    start: (words, surroundings) => start(t, words, surround(surroundings)),
    asked: (operation, place) => broker.audit().filter(({ type, request }) => type === 'request' && request.operation === operation &&
      (place.endsWith('*') ? request.path.startsWith(place.slice(0, -1)) : request.path === place)).length
  }
}

/** Whose credentials these are, as AWS sees it. @throws where AWS takes them for none. */
export async function identify ({ endpoint }: Emulator, keys: { accessKeyId: string, secretAccessKey: string, sessionToken: string }): Promise<string> {
  const client = new STSClient({ endpoint, region: 'us-east-1', credentials: keys, maxAttempts: 1 })
  try {
    return (await client.send(new GetCallerIdentityCommand({}))).Arn ?? ''
  } finally {
    client.destroy()
  }
}

/** A server that stands where the broker should be, and does as it likes. */
export interface Impostor {
  readonly address: string
  readonly port: number
  /** Requests so far: method and target. */
  readonly seen: string[]
  /** Everything that came in headers and bodies. */
  heard (): string
}

export async function startImpostor (
  t: Teardown, answer: (request: IncomingMessage, response: ServerResponse, count: number) => void
): Promise<Impostor> {
  const seen: string[] = []
  let heard = ''
  const server = http.createServer((request, response) => {
    heard += request.rawHeaders.join('\n')
    request.on('data', (chunk: Buffer) => { heard += chunk.toString('utf8') })
    request.on('end', () => {
      seen.push(`${request.method ?? ''} ${request.url ?? ''}`)
      answer(request, response, seen.length)
    })
  })
  server.on('connect', (request, socket) => {
    seen.push(`CONNECT ${request.url ?? ''}`)
    socket.destroy()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  }))
  const { port } = server.address() as AddressInfo
  return { address: `http://127.0.0.1:${port}`, port, seen, heard: () => heard }
}

/** Answers JSON. */
export function json (response: ServerResponse, status: number, body: unknown, headers: http.OutgoingHttpHeaders = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

/** Parts of a test's own: clocks that move by themselves only in pauses, and a list of what was said. */
export function testParts (env: Parts['env'] = {}) {
  const said: string[] = []
  const written: string[] = []
  const time = { wallMs: Date.UTC(2026, 0, 1), steadyMs: 1_000_000 }
  const pauses: number[] = []
  const parts: Parts = {
    env,
    screen: createScreen({
      isTerminal: false,
      writeOut: async (text) => { written.push(text) },
      writeError: (text) => { said.push(text) }
    }),
    now: () => time.wallMs,
    startedAtMs: time.wallMs,
    steady: () => time.steadyMs,
    async pause (ms) {
      pauses.push(ms)
      time.wallMs += ms
      time.steadyMs += ms
    },
    random: () => 0,
    readInput: async () => '',
    ask: async () => null
  }
  return { parts, said, written, time, pauses }
}

/** Parts whose clocks move only by `advance`, which wakes every pause that is over by then, one after another. */
export function manualParts (env: Parts['env'] = {}) {
  const { parts, said, time } = testParts(env)
  const pausing = new Set<{ readonly atMs: number, readonly wake: () => void }>()
  const settle = async () => { for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve)) }
  return {
    said,
    time,
    settle,
    parts: {
      ...parts,
      pause: (ms: number, signal?: AbortSignal) => new Promise<void>((resolve, reject) => {
        const pause = { atMs: time.steadyMs + ms, wake: resolve }
        pausing.add(pause)
        signal?.addEventListener('abort', () => {
          pausing.delete(pause)
          reject(new Error('stopped'))
        }, { once: true })
      })
    } satisfies Parts,
    async advance (ms: number): Promise<void> {
      const untilMs = time.steadyMs + ms
      await settle()
      for (;;) {
        const [next] = [...pausing].filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)
        const toMs = Math.max(time.steadyMs, next?.atMs ?? untilMs)
        time.wallMs += toMs - time.steadyMs
        time.steadyMs = toMs
        if (next === undefined) return
        pausing.delete(next)
        next.wake()
        await settle()
      }
    }
  }
}
