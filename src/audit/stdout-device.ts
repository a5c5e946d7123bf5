import { constants, fstatSync, openSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import type { AuditDevice, Waiting } from './device.ts'

/** How long a reader may stand still before entries are refused. */
const deadlineMs = 2000
/** Bytes that may wait for a reader before more entries are refused at once. */
const pendingBytesMax = 1_048_576

/** Hands bytes over and calls back when the kernel has them. */
type Sink = (text: string, done: (error?: Error | null) => void) => void

export interface StdoutDeviceOptions {
  readonly name: string
  /** The descriptor of the standard output, 1. */
  readonly fd: number
}

/**
 * The standard output as an audit device. A reader that stops never holds up the event loop:
 * pipes and sockets are written without blocking, an entry that has not left after 2 s is refused,
 * and what waits is bounded (SEC-270).
 */
export function openStdoutDevice ({ name, fd }: StdoutDeviceOptions): AuditDevice {
  const sink = openSink(fd)
  let waiting: Waiting[] = []
  let scheduled = false
  let pendingBytes = 0
  const underWay = new Set<Promise<void>>()

  function flush (): void {
    scheduled = false
    const lines = waiting
    if (lines.length === 0) return
    waiting = []
    if (pendingBytes > pendingBytesMax) return refuse(lines, new Error('the reader of the audit output is too slow'))
    const text = lines.map(({ line }) => `${line}\n`).join('')
    const bytes = Buffer.byteLength(text)
    const { promise, resolve } = Promise.withResolvers<void>()
    pendingBytes += bytes
    underWay.add(promise)
    const timer = setTimeout(() => { refuse(lines, new Error('the audit output was not read in time')) }, deadlineMs)
    sink(text, (error) => {
      clearTimeout(timer)
      pendingBytes -= bytes
      underWay.delete(promise)
      if (error) refuse(lines, error)
      else for (const each of lines) each.resolve()
      resolve()
    })
  }

  return {
    name,
    type: 'file',
    options: { file_path: 'stdout' },
    write (line) {
      return new Promise((resolve, reject) => {
        waiting.push({ line, resolve, reject })
        if (scheduled) return
        scheduled = true
        process.nextTick(flush)
      })
    },
    async reopen () {},
    async check () {},
    async close () {
      flush()
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => { timer = setTimeout(resolve, deadlineMs) })
      await Promise.race([Promise.all(underWay), late])
      clearTimeout(timer)
    }
  }
}

function refuse (lines: readonly Waiting[], error: Error): void {
  for (const each of lines) each.reject(error)
}

/**
 * Files, terminals and the like are written at once. A pipe is opened anew, so that it is
 * non-blocking for this writer and unchanged for all others who hold it.
 */
function openSink (fd: number): Sink {
  const stat = fstatSync(fd)
  if (!stat.isFIFO() && !stat.isSocket()) {
    return (text, done) => {
      try {
        const bytes = Buffer.from(text, 'utf8')
        let at = 0
        while (at < bytes.length) at += writeSync(fd, bytes, at)
        done()
      } catch (error) {
        done(error instanceof Error ? error : new Error('not written'))
      }
    }
  }
  const own = stat.isFIFO() ? openSync(`/dev/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK) : fd
  const socket = new Socket({ fd: own, readable: false, writable: true })
  socket.on('error', () => {
    // Each write reports its own failure to whoever waits for it.
  })
  return (text, done) => { socket.write(text, done) }
}
