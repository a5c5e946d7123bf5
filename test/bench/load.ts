import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { cpuMicrosOf } from './processes.ts'

/** One request, sent again and again. */
export interface Shot {
  /** `http://127.0.0.1:<port>/…` */
  readonly url: string
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  /** ASCII. */
  readonly body: string
  /** Its requests differ (see `generator.ts`), so that wrk cannot send them. */
  readonly varies?: boolean
}

/** What came of a load. */
export interface LoadResult {
  readonly requests: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Answers that were no 2xx, and broken connections. */
  readonly errors: number
  /** Processor time of the server for one request. */
  readonly cpuMicros: number
}

/** Connections, each with one request in flight. */
export const connections = 32

const run = promisify(execFile)
const hasWrk = spawnSync('wrk', ['--version']).error === undefined

/** The generator that is used, for the report. */
export const generatorName = hasWrk ? `wrk -t1 -c${connections}, own generator for writes of KV` : `own generator, ${connections} connections`

/** Loads a server for some seconds, from a process of its own. */
export async function load (shot: Shot, seconds: number, serverPid: number): Promise<LoadResult> {
  const cpuBefore = cpuMicrosOf(serverPid)
  const result = hasWrk && shot.varies !== true ? await runWrk(shot, seconds) : await runGenerator(shot, seconds)
  return { ...result, cpuMicros: (cpuMicrosOf(serverPid) - cpuBefore) / result.requests }
}

type Counted = Omit<LoadResult, 'cpuMicros'>

async function runWrk ({ url, method, headers, body }: Shot, seconds: number): Promise<Counted> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'wrk-bench-'))
  try {
    const script = path.join(folder, 'request.lua')
    const lines = Object.entries(headers).map(([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`)
    writeFileSync(script, [`wrk.method = "${method}"`, `wrk.body = ${JSON.stringify(body)}`, ...lines].join('\n'))
    const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '--latency', '-s', script, url]
    const { stdout } = await run('wrk', args)
    const [requests, took] = [/(\d+) requests in ([\d.]+\w+)/.exec(stdout)?.[1], /(\d+) requests in ([\d.]+\w+)/.exec(stdout)?.[2]]
    const failed = /Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? '0'
    const broken = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout)?.slice(1) ?? []
    return {
      requests: Number(requests),
      perSecond: Number(requests) / (millisecondsOf(took) / 1000),
      p50Ms: millisecondsOf(/ 50%\s+(\S+)/.exec(stdout)?.[1]),
      p99Ms: millisecondsOf(/ 99%\s+(\S+)/.exec(stdout)?.[1]),
      errors: [failed, ...broken].reduce((sum, count) => sum + Number(count), 0)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const unitMs = new Map([['us', 0.001], ['ms', 1], ['s', 1000], ['m', 60_000]])

function millisecondsOf (text = ''): number {
  const [, number, unit = ''] = /^([\d.]+)(us|ms|s|m)$/.exec(text) ?? []
  return Number(number) * (unitMs.get(unit) ?? NaN)
}

async function runGenerator (shot: Shot, seconds: number): Promise<Counted> {
  const program = path.join(import.meta.dirname, 'generator.ts')
  const { stdout } = await run(process.execPath, [program, JSON.stringify({ ...shot, seconds, connections })])
  return JSON.parse(stdout) as Counted
}
