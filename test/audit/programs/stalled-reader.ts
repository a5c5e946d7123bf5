// Writes entries to a standard output that nobody reads, and tells on standard error what became of them.
import { openStdoutDevice } from '../../../src/audit/stdout-device.ts'

const device = openStdoutDevice({ name: 'stdout', fd: 1 })
const line = 'x'.repeat(1000)
let written = 0
let refused = 0
let longestTurnMs = 0
let lastTurnMs = performance.now()
const turns = setInterval(() => {
  longestTurnMs = Math.max(longestTurnMs, performance.now() - lastTurnMs)
  lastTurnMs = performance.now()
}, 5)
const start = performance.now()
async function write (): Promise<void> {
  try {
    await device.write(line)
    written++
  } catch {
    refused++
  }
}
await Promise.all(Array.from({ length: 3000 }, write))
clearInterval(turns)
const memory = process.memoryUsage().rss
process.stderr.write(JSON.stringify({ written, refused, longestTurnMs, tookMs: performance.now() - start, memory }) + '\n')
process.exit(0)
