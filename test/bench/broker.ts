import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { projectFolder, startProgram, waitFor, type Running } from './processes.ts'

/** How to start a broker. */
export interface BrokerOptions {
  /** `sqlite` or the URL of a Redis. */
  readonly store: string
  /** URL of a running emulator. */
  readonly emulator: string
  readonly folder: string
}

/** A broker as `npm start` starts it, in a process of its own, with its audit file on. */
export interface BenchBroker {
  readonly running: Running
  readonly url: string
  readonly roleId: string
  readonly secretId: string
}

/** The development root token of the bench's brokers. */
export const rootToken = 'bench-root-token'

/** What `npm start` gives Node: variables before the word `node`, flags behind it. */
function startCommand (): { readonly variables: Record<string, string>, readonly flags: readonly string[] } {
  const text = readFileSync(path.join(projectFolder, 'package.json'), 'utf8')
  const { scripts } = JSON.parse(text) as { scripts: { start: string } }
  const words = scripts.start.split(' ')
  const node = words.indexOf('node')
  const variables = words.slice(0, node).filter((word) => word.includes('=')).map((word) => word.split('=') as [string, string])
  const profile = process.env['BENCH_NODE_FLAGS']?.split(' ') ?? []
  return { variables: Object.fromEntries(variables), flags: [...words.slice(node + 1, words.indexOf('src/server.ts')), ...profile] }
}

const { variables, flags } = startCommand()

/** Starts the process; it may not answer yet. */
export function launchBroker ({ store, emulator, folder }: BrokerOptions, listen = '127.0.0.1:0'): Running {
  return startProgram([...flags, 'src/server.ts', '--development'], {
    ...variables,
    LATCHKEY_LISTEN: listen,
    LATCHKEY_DATA_DIR: folder,
    LATCHKEY_STORE: store,
    LATCHKEY_EMULATOR: emulator,
    LATCHKEY_DEV_ROOT_TOKEN: rootToken,
    LATCHKEY_LOG_LEVEL: 'warn'
  })
}

/** Starts a broker that answers. */
export async function startBroker (options: BrokerOptions): Promise<BenchBroker> {
  const running = launchBroker(options)
  const [, url = ''] = await waitFor(running, /Latchkey serves at (http:\S+)/)
  const [, roleId = ''] = await waitFor(running, /role_id +(\S+)/)
  const [, secretId = ''] = await waitFor(running, /secret_id +(\S+)/)
  return { running, url, roleId, secretId }
}

/** Makes a folder for a broker's data, which goes with the process of the bench. */
export function makeFolder (): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'broker-bench-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Logs in as a CI run does and answers the token. */
export async function logIn ({ url, roleId, secretId }: BenchBroker): Promise<string> {
  const answer = await ask(url, 'POST', '/v1/auth/approle/login', '', { role_id: roleId, secret_id: secretId })
  return (answer as { auth: { client_token: string } }).auth.client_token
}

/** The accessor of a mount: starts a broker on the folder and stops it again. */
export async function accessorOf (options: BrokerOptions, mount: string): Promise<string> {
  const { url, running } = await startBroker(options)
  const { data } = await ask(url, 'GET', '/v1/sys/mounts', rootToken) as { data: Record<string, { accessor: string }> }
  await running.end()
  return data[mount]?.accessor ?? ''
}

/** One request of the bench itself. @throws Error where the answer is no 2xx. */
export async function ask (url: string, method: string, target: string, token: string, data?: object): Promise<unknown> {
  const response = await fetch(url + target, {
    method,
    headers: { 'x-vault-token': token },
    signal: AbortSignal.timeout(180_000),
    ...(data !== undefined && { body: JSON.stringify(data) })
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${target} answered ${response.status}: ${text}`)
  return text === '' ? null : JSON.parse(text)
}
