import { randomInt } from 'node:crypto'
import { uptime } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { codeOf, Failure } from './failure.ts'
import { createScreen, type Screen } from './screen.ts'

/** What a command has of the process it runs in; tests have others. */
export interface Parts {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly screen: Screen
  /** The clock on the wall, epoch ms. It may be set, and be wrong. */
  readonly now: () => number
  /** When this process started, by the clock on the wall. */
  readonly startedAtMs: number
  /** Milliseconds since the machine started, its sleep included: never set and never back. */
  readonly steady: () => number
  readonly pause: (ms: number, signal?: AbortSignal) => Promise<void>
  /** A whole number from 0 to below `limit`. */
  readonly random: (limit: number) => number
  /** All of standard input as UTF-8. @throws Failure above `bytesMax`, and at a terminal, which shows what is typed. */
  readonly readInput: (bytesMax: number) => Promise<string>
  /** Asks the person at the terminal; null where nobody is. */
  readonly ask: (question: string, shown: 'shown' | 'hidden') => Promise<string | null>
}

/** The parts of this process. */
export function processParts (): Parts {
  return {
    env: process.env,
    screen: createScreen({
      isTerminal: process.stdout.isTTY === true,
      writeOut: (text) => new Promise((resolve, reject) => {
        process.stdout.write(text, (error) => error ? reject(explainUnwritten(error)) : resolve())
      }),
      writeError: (text) => { process.stderr.write(text) }
    }),
    now: () => Date.now(),
    startedAtMs: performance.timeOrigin,
    steady: () => uptime() * 1000,
    pause: async (ms, signal) => { await pause(ms, undefined, signal === undefined ? {} : { signal }) },
    random: (limit) => randomInt(limit),
    readInput,
    ask
  }
}

/** Pauses, and returns early where a signal says so. */
export async function pauseOrStop ({ pause }: Pick<Parts, 'pause'>, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await pause(ms, signal)
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** A reader that is gone is told by the exit code alone; what else there is, in words. */
function explainUnwritten (error: Error): Error {
  const code = codeOf(error)
  if (code === 'EPIPE') return error
  return new Failure('failed', `standard output cannot be written: ${code === 'ENOSPC' ? 'the disk is full' : code}`, { cause: error })
}

async function readInput (bytesMax: number): Promise<string> {
  if (process.stdin.isTTY === true) throw new Failure('usage', 'standard input is a terminal: give a file, or the output of another command')
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bytesMax) throw new Failure('usage', `standard input holds more than ${bytesMax} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

const lineLengthMax = 8192

/** Reads a line from the terminal. A hidden one is read key by key, without echo. */
async function ask (question: string, shown: 'shown' | 'hidden'): Promise<string | null> {
  const { stdin, stderr } = process
  if (stdin.isTTY !== true) return null
  const isHidden = shown === 'hidden'
  if (isHidden) stdin.setRawMode(true)
  stderr.write(question)
  try {
    return await readLine(stdin)
  } finally {
    if (isHidden) {
      stdin.setRawMode(false)
      stderr.write('\n')
    }
    stdin.pause()
  }
}

function readLine (stdin: NodeJS.ReadStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let line = ''
    const end = (settle: () => void) => {
      stdin.off('data', read).off('end', finish)
      settle()
    }
    const finish = () => end(() => resolve(line))
    const read = (chunk: Buffer) => {
      for (const key of chunk.toString('utf8')) {
        if (key === '\r' || key === '\n' || key === '\u0004') return finish()
        if (key === '\u0003') return end(() => reject(new Failure('failed', 'stopped')))
        if (key === '\u007f' || key === '\b') line = line.slice(0, -1)
        else if (key === '\u0015') line = ''
        else if (line.length < lineLengthMax) line += key
      }
    }
    stdin.on('data', read).on('end', finish)
    stdin.resume()
  })
}
