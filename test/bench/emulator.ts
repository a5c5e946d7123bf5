import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { cpus } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { Identities } from '../../src/emulator/identities.ts'
import { signedHeaders } from '../emulator/helpers/sign.ts'
import { cpuMicrosOf } from './processes.ts'

/** How fast the emulator vends, as a client on the same machine sees it. */
export interface EmulatorFigures {
  readonly requests: number
  readonly perSecond: number
  /** CPU time of the emulator's process for one AssumeRole; what one core of its own would give is 1e6 of it. */
  readonly cpuMicros: number
  readonly perSecondOfCpu: number
  readonly errors: number
}

const root = path.join(import.meta.dirname, '../..')
const preparedMax = 2000

/**
 * Signed AssumeRole calls against an emulator in a process of its own. The requests are signed
 * before the clock starts and written to plain sockets, so that the generator costs next to nothing.
 */
export async function measureEmulator (
  { seconds = 5, connections = 16, policy = false }: { seconds?: number, connections?: number, policy?: boolean } = {}
): Promise<EmulatorFigures> {
  const child = spawn(process.execPath, ['src/emulator/main.ts', '--port', '0', '--json'], {
    cwd: root, stdio: ['ignore', 'pipe', 'inherit']
  })
  try {
    const [line] = await once(createInterface({ input: child.stdout }), 'line') as [string]
    const { port, accounts }: Identities & { port: number } = JSON.parse(line)
    const requests = prepare(port, accounts, policy)
    await drive(port, requests, { connections, untilMs: Date.now() + 1000 })
    const cpuBefore = cpuMicrosOf(child.pid ?? 0)
    const startedMs = performance.now()
    const { done, errors } = await drive(port, requests, { connections, untilMs: Date.now() + seconds * 1000 })
    const elapsedSeconds = (performance.now() - startedMs) / 1000
    const cpuMicros = (cpuMicrosOf(child.pid ?? 0) - cpuBefore) / done
    return { requests: done, perSecond: done / elapsedSeconds, cpuMicros, perSecondOfCpu: 1e6 / cpuMicros, errors }
  } finally {
    child.kill()
  }
}

function prepare (port: number, accounts: Identities['accounts'], policy: boolean): Buffer[] {
  const keys = accounts[0]?.users[0]?.accessKeys[0]
  const role = accounts[1]?.roles.find(({ name }) => name === 'LatchkeyProvisioner')
  if (keys === undefined || role === undefined) throw new Error('the example seed has changed')
  return Array.from({ length: preparedMax }, (_, index) => {
    const body = new URLSearchParams({
      Action: 'AssumeRole',
      Version: '2011-06-15',
      RoleArn: role.arn,
      RoleSessionName: `01KABCDEFGHJKMNPQRSTVWXYZ0.${index}`,
      ExternalId: role.externalIds[0] ?? '',
      DurationSeconds: '3600',
      ...(policy ? { Policy: '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}' } : {})
    }).toString()
    const headers = signedHeaders({
      method: 'POST',
      host: `127.0.0.1:${port}`,
      target: '/',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': String(body.length) },
      body
    }, keys, { service: 'sts', region: 'us-east-1', nowMs: Date.now() })
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
    return Buffer.from(`POST / HTTP/1.1\r\n${lines}\r\n${body}`)
  })
}

async function drive (
  port: number, requests: readonly Buffer[], { connections, untilMs }: { connections: number, untilMs: number }
): Promise<{ done: number, errors: number }> {
  let done = 0
  let errors = 0
  let next = 0
  await Promise.all(Array.from({ length: connections }, () => new Promise<void>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    const send = () => socket.write(requests[next++ % requests.length] ?? '')
    let answer = ''
    socket.setNoDelay(true)
    socket.on('connect', send)
    socket.on('error', reject)
    socket.on('close', () => resolve())
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
      if (!answer.endsWith('Response>')) return
      done++
      if (!answer.startsWith('HTTP/1.1 200 ')) errors++
      answer = ''
      if (Date.now() < untilMs) send()
      else socket.end()
    })
  })))
  return { done, errors }
}

if (import.meta.main) {
  for (const policy of [false, true]) {
    const { requests, perSecond, cpuMicros, perSecondOfCpu, errors } = await measureEmulator({ policy })
    process.stdout.write(`AssumeRole${policy ? ' with a session policy' : ''}: ${Math.round(perSecond)}/s seen by the client ` +
      `(${requests} calls, ${errors} refused); ${Math.round(cpuMicros)} us of CPU each, ${Math.round(perSecondOfCpu)}/s on a core of its own; ${cpus().length} cores\n`)
  }
}
