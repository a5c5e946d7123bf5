import { performance } from 'node:perf_hooks'

/*
 * Loaded before a broker under test (`NODE_OPTIONS=--import=<this>`), it puts the clock of the machine
 * forward by `CLOCK_SHIFT_MS` as that one process sees it, and the monotonic one too from the first
 * SIGUSR2 on: a broker's own clock follows the store's time by it, and goes ahead with the leap.
 */
const shiftMs = Number(process.env['CLOCK_SHIFT_MS'] ?? 0)
const TrueDate = Date
const monotonic = performance.now.bind(performance)
let leapMs = 0

process.on('SIGUSR2', () => { leapMs = shiftMs })
Object.defineProperty(performance, 'now', { value: () => monotonic() + leapMs })
globalThis.Date = new Proxy(TrueDate, {
  construct: (target, values: [], newTarget) =>
    Reflect.construct(target, values.length === 0 ? [TrueDate.now() + shiftMs] : values, newTarget) as Date,
  get: (target, name) => name === 'now' ? () => TrueDate.now() + shiftMs : Reflect.get(target, name)
})
