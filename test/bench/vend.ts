import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { cpus, tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'

/** What both sides call, with whose keys. */
export interface VendTarget {
  readonly endpoint: string
  readonly region: string
  readonly keys: { readonly accessKeyId: string, readonly secretAccessKey: string }
  readonly roleArn: string
  readonly externalId: string
  readonly policy: string
}

/** One side of the comparison. */
export interface VendSide {
  readonly perSecond: number
  /** CPU time of the serving process for one vend. */
  readonly cpuMicros: number
  readonly errors: number
}

export interface VendFigures {
  readonly bare: VendSide
  readonly broker: VendSide
  /** The broker's rate by the bare one's; 0.8 is the floor. */
  readonly ratio: number
  /** The bare side's CPU by the broker's: what the ratio would be with cores to spare. */
  readonly cpuRatio: number
}

const root = path.join(import.meta.dirname, '../..')
const vendPath = '/v1/aws/sts/ec2-only'

/**
 * The broker's vend (token, policy, intent, signed call, lease, audit) beside a bare route that only
 * calls the SDK, against one emulator, in turns. Each is a process of its own.
 */
export async function measureVend (
  { seconds = 4, rounds = 3, connections = 16, store = 'sqlite' }: { seconds?: number, rounds?: number, connections?: number, store?: string } = {}
): Promise<VendFigures> {
  const folder = mkdtempSync(path.join(tmpdir(), 'vend-bench-'))
  const children: ChildProcess[] = []
  try {
    const emulator = start(children, ['src/emulator/main.ts', '--port', '0', '--json'])
    const target = targetOf(JSON.parse(await emulator.line(/^\{/)))
    const bare = start(children, ['test/bench/vend-bare.ts', JSON.stringify(target)])
    const broker = start(children, ['src/server.ts', '--development'], {
      LATCHKEY_LISTEN: '127.0.0.1:0', LATCHKEY_DATA_DIR: folder, LATCHKEY_STORE: store, LATCHKEY_EMULATOR: target.endpoint, LATCHKEY_LOG_LEVEL: 'warn'
    })
    const sides = {
      bare: { child: bare.child, port: portOf(await bare.line(/serves at/)), token: '' },
      broker: { child: broker.child, port: 0, token: '' }
    }
    sides.broker.port = portOf(await broker.line(/serves at/))
    sides.broker.token = await logIn(sides.broker.port, await broker.line(/^export TOKEN|^TOKEN=/))

    const sums = { bare: emptySum(), broker: emptySum() }
    for (let round = 0; round <= rounds; round++) {
      for (const name of ['bare', 'broker'] as const) {
        const side = sides[name]
        const turn = await takeTurn(side.child.pid ?? 0, side.port, side.token, connections, round === 0 ? 1 : seconds)
        if (round > 0) add(sums[name], turn)
      }
    }
    const figures = { bare: sideOf(sums.bare), broker: sideOf(sums.broker) }
    return {
      ...figures,
      ratio: figures.broker.perSecond / figures.bare.perSecond,
      cpuRatio: figures.bare.cpuMicros / figures.broker.cpuMicros
    }
  } finally {
    for (const child of children) child.kill()
    await Promise.all(children.map((child) => child.exitCode !== null || new Promise((resolve) => child.once('exit', resolve))))
    rmSync(folder, { recursive: true })
  }
}

/** A program of ours with its output by lines. */
function start (children: ChildProcess[], args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'], env: { PATH: process.env['PATH'], ...environment } })
  children.push(child)
  const lines: string[] = []
  let look = () => {}
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    look()
  })
  return {
    child,
    /** The first line of a form, also one that was printed before. */
    line: (form: RegExp) => new Promise<string>((resolve, reject) => {
      child.once('exit', () => { reject(new Error(`${args[0]} ended early`)) })
      look = () => {
        const found = lines.find((line) => form.test(line))
        if (found !== undefined) resolve(found)
      }
      look()
    })
  }
}

function targetOf ({ endpoint, accounts }: { endpoint: string, accounts: Identity[] }): VendTarget {
  const keys = accounts.flatMap(({ users }) => users).find(({ name }) => name === 'latchkey')?.accessKeys[0]
  const role = accounts.find(({ alias }) => alias === 'acme')?.roles.find(({ name }) => name === 'LatchkeyProvisioner')
  const bootstrap: Bootstrap = JSON.parse(readFileSync(path.join(root, 'config/example/bootstrap.json'), 'utf8'))
  const policy = bootstrap.writes.find((write) => write.path === 'aws/roles/ec2-only')?.data['policy_document']
  if (keys === undefined || role === undefined || policy === undefined) throw new Error('the example has changed')
  return { endpoint, region: 'us-east-1', keys, roleArn: role.arn, externalId: role.externalIds[0] ?? '', policy }
}

interface Identity {
  readonly alias: string
  readonly users: readonly { readonly name: string, readonly accessKeys: readonly VendTarget['keys'][] }[]
  readonly roles: readonly { readonly name: string, readonly arn: string, readonly externalIds: readonly string[] }[]
}

interface Bootstrap {
  readonly writes: readonly { readonly path: string, readonly data: Readonly<Record<string, string>> }[]
}

function portOf (line: string): number {
  return Number(/http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1])
}

/** Logs in with what a development start prints. */
async function logIn (port: number, line: string): Promise<string> {
  const body = /'(\{.*?\})'/.exec(line)?.[1] ?? ''
  const response = await fetch(`http://127.0.0.1:${port}/v1/auth/approle/login`, { method: 'POST', body })
  const { auth } = await response.json() as { auth?: { client_token: string } }
  if (auth === undefined) throw new Error('the login was refused')
  return auth.client_token
}

interface Sum { done: number, errors: number, seconds: number, cpuMicros: number }

function emptySum (): Sum {
  return { done: 0, errors: 0, seconds: 0, cpuMicros: 0 }
}

function add (sum: Sum, turn: Sum): void {
  sum.done += turn.done
  sum.errors += turn.errors
  sum.seconds += turn.seconds
  sum.cpuMicros += turn.cpuMicros
}

function sideOf ({ done, errors, seconds, cpuMicros }: Sum): VendSide {
  return { perSecond: done / seconds, cpuMicros: cpuMicros / done, errors }
}

async function takeTurn (pid: number, port: number, token: string, connections: number, seconds: number): Promise<Sum> {
  const request = Buffer.from(`GET ${vendPath} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nx-vault-token: ${token}\r\n\r\n`)
  const cpuBefore = cpuMicrosOf(pid)
  const startedMs = performance.now()
  const untilMs = startedMs + seconds * 1000
  const counts = await Promise.all(Array.from({ length: connections }, () => driveOne(port, request, untilMs)))
  return {
    done: counts.reduce((sum, { done }) => sum + done, 0),
    errors: counts.reduce((sum, { errors }) => sum + errors, 0),
    seconds: (performance.now() - startedMs) / 1000,
    cpuMicros: cpuMicrosOf(pid) - cpuBefore
  }
}

/** One connection that asks again as soon as it has its answer. */
function driveOne (port: number, request: Buffer, untilMs: number): Promise<{ done: number, errors: number }> {
  return new Promise((resolve, reject) => {
    let done = 0
    let errors = 0
    let answer = ''
    const socket = connect(port, '127.0.0.1').setNoDelay(true)
    socket.on('connect', () => { socket.write(request) })
    socket.on('error', reject)
    socket.on('close', () => { resolve({ done, errors }) })
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
      const bodyAt = answer.indexOf('\r\n\r\n') + 4
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(answer)?.[1])
      if (bodyAt === 3 || answer.length < bodyAt + length) return
      done++
      if (!answer.startsWith('HTTP/1.1 200 ') || !answer.includes('"access_key":"ASIA')) errors++
      answer = ''
      if (performance.now() < untilMs) socket.write(request)
      else socket.end()
    })
  })
}

/** User and system time of a process; Linux counts it in hundredths of a second. */
function cpuMicrosOf (pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

if (import.meta.main) {
  const { bare, broker, ratio, cpuRatio } = await measureVend({ store: process.argv[2] ?? 'sqlite' })
  const side = ({ perSecond, cpuMicros, errors }: VendSide) => `${Math.round(perSecond)}/s, ${Math.round(cpuMicros)} us of CPU each, ${errors} errors`
  process.stdout.write(`bare SDK route: ${side(bare)}\nbroker:         ${side(broker)}\nratio ${ratio.toFixed(2)} by rate, ${cpuRatio.toFixed(2)} by CPU; ${cpus().length} cores\n`)
}
