import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import path from 'node:path'

/** The project's folder. */
export const projectFolder = path.join(import.meta.dirname, '../..')

/** A process of the bench's own. */
export interface Running {
  readonly pid: number
  /** All it has printed so far. */
  readonly output: () => string
  /** Whether it is still there. */
  readonly isAlive: () => boolean
  /** Sends a signal and waits for the end. */
  end (signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

const live = new Set<ChildProcess>()
process.on('exit', () => { for (const child of live) child.kill('SIGKILL') })
process.on('SIGINT', () => process.exit(130))
process.on('SIGTERM', () => process.exit(143))

/** Starts a program of the project with this Node; what it says on standard error is kept for `waitFor`. */
export function startProgram (args: readonly string[], environment: Readonly<Record<string, string>> = {}): Running {
  const child = spawn(process.execPath, args, {
    cwd: projectFolder,
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  live.add(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => { output = (output + text).slice(-20_000) })
  }
  const ended = once(child, 'exit').then(() => { live.delete(child) })
  const isAlive = () => child.exitCode === null && child.signalCode === null
  return {
    pid: child.pid ?? 0,
    output: () => output,
    isAlive,
    async end (signal = 'SIGTERM') {
      if (isAlive()) child.kill(signal)
      await ended
    }
  }
}

/** Waits until a process printed what a pattern finds. @throws Error when it ends or takes 20 s. */
export async function waitFor (running: Running, pattern: RegExp): Promise<RegExpExecArray> {
  const endMs = performance.now() + 20_000
  for (;;) {
    const match = pattern.exec(running.output())
    if (match !== null) return match
    if (!running.isAlive() || performance.now() > endMs) throw new Error(`a process did not start:\n${running.output()}`)
    await new Promise((resolve) => { setTimeout(resolve, 5) })
  }
}

/** User and system time of a process, microseconds; Linux counts it in hundredths of a second. */
export function cpuMicrosOf (pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

/** Resident memory of a process, bytes. */
export function residentBytesOf (pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) * 1024
}
