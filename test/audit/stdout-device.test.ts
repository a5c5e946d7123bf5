import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import t, { type Test as Tap } from 'tap'

function directoryFor (t: Tap): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'audit-test-'))
  t.teardown(() => { rmSync(directory, { recursive: true }) })
  return directory
}

const program = (name: string): string => path.join(import.meta.dirname, 'programs', name)

interface Told {
  readonly written: number
  readonly refused: number
  readonly longestTurnMs: number
  readonly tookMs: number
}

async function told ({ stderr }: { readonly stderr: Readable | null }): Promise<Told> {
  return JSON.parse(stderr === null ? '' : await text(stderr)) as Told
}

function judge (t: Tap, { written, refused, longestTurnMs, tookMs }: Told): void {
  t.comment(`${written} written, ${refused} refused in ${tookMs.toFixed(0)} ms, longest turn ${longestTurnMs.toFixed(0)} ms`)
  t.equal(written + refused, 3000)
  t.ok(refused > 2500, 'what the reader did not take is refused')
  t.ok(tookMs > 1900 && tookMs < 10_000, 'after the deadline of 2 s')
  t.ok(longestTurnMs < 1500, 'the event loop went on: a blocking write would have held it for the 2 s and more')
}

t.test('SEC-270 a socket whose reader stops: entries are refused within 2 s, the event loop goes on', async (t) => {
  const child = spawn(process.execPath, [program('stalled-reader.ts')], { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.pause()
  judge(t, await told(child))
  child.stdout.resume()
})

t.test('SEC-270 a FIFO whose reader stops: the same', async (t) => {
  const directory = directoryFor(t)
  const fifo = path.join(directory, 'fifo')
  execFileSync('mkfifo', [fifo])
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
  const fd = openSync(fifo, 'w')
  const child = spawn(process.execPath, [program('stalled-reader.ts')], { stdio: ['ignore', fd, 'pipe'] })
  judge(t, await told(child))
  closeSync(fd)
  closeSync(reader)
})

t.test('a reader that reads gets every line in its order', async (t) => {
  const child = spawn(process.execPath, [program('writer.ts')], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = (await text(child.stdout)).split('\n')
  t.strictSame(lines.slice(0, -1).map((line) => Number(line.split(' ')[0])), Array.from({ length: 2000 }, (_, n) => n))
})

t.test('a standard output that is a file gets every line', async (t) => {
  const file = path.join(directoryFor(t), 'out')
  const fd = openSync(file, 'w', 0o600)
  const child = spawn(process.execPath, [program('writer.ts')], { stdio: ['ignore', fd, 'inherit'] })
  closeSync(fd)
  await once(child, 'exit')
  t.equal(readFileSync(file, 'utf8').split('\n').length, 2001)
})

t.test('a reader that went away refuses entries and ends nothing', async (t) => {
  const child = spawn(process.execPath, [program('stalled-reader.ts')], { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.destroy()
  const { refused } = await told(child)
  t.ok(refused > 2500, `${refused} refused`)
})
