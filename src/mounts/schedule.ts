import type { CronFields } from '../core/cron.ts'

/** Instants in UTC. A day has to fit day, month and weekday together, as node-cron has it. */
export interface Schedule {
  /** The last instant at or before `ms`; null: there is none in 50 years. */
  latestAt (ms: number): number | null
  /** The first instant after `ms`; null: there is none in 50 years. */
  nextAfter (ms: number): number | null
  /** The shortest time between two instants that may follow each other, at least a second. */
  readonly leastIntervalMs: number
}

const dayMs = 86_400_000
/** 29 February falls on one weekday every 28 years, and after 40 around a century. */
const daysMax = 366 * 50

export function createSchedule (fields: CronFields): Schedule {
  const times = timesOfDay(fields)
  const months = new Set(fields.month)

  function fitsDay (startMs: number): boolean {
    const date = new Date(startMs)
    const month = date.getUTCMonth() + 1
    if (!months.has(month)) return false
    const day: Day = {
      date: date.getUTCDate(),
      weekday: date.getUTCDay(),
      last: new Date(Date.UTC(date.getUTCFullYear(), month, 0)).getUTCDate()
    }
    return fields.dayOfMonth.some((value) => fitsDate(value, day)) &&
      fields.dayOfWeek.some((value) => fitsWeekday(value, day))
  }

  /** Walks the days from one on, in one direction, and asks each that fits. */
  function search (fromMs: number, step: 1 | -1, pick: (startMs: number) => number | undefined): number | null {
    let startMs = Math.floor(fromMs / dayMs) * dayMs
    for (let n = 0; n < daysMax; n++, startMs += step * dayMs) {
      const found = fitsDay(startMs) ? pick(startMs) : undefined
      if (found !== undefined) return startMs + found
    }
    return null
  }

  const searchBack = (ms: number) => search(ms, -1, (startMs) => times.findLast((time) => startMs + time <= ms))
  const searchOn = (ms: number) => search(ms, 1, (startMs) => times.find((time) => startMs + time > ms))
  /** From the last instant found to the next: whoever asks each second is answered from here. */
  let window: { readonly fromMs: number | null, readonly toMs: number | null } = { fromMs: null, toMs: null }

  /** The instants around one; null: there is none in 50 years. */
  function around (ms: number): typeof window {
    const { fromMs, toMs } = window
    const isKnown = fromMs !== null && toMs !== null && fromMs <= ms && ms < toMs
    if (!isKnown) window = { fromMs: searchBack(ms), toMs: searchOn(ms) }
    return window
  }

  return {
    latestAt: (ms) => around(ms).fromMs,
    nextAfter: (ms) => around(ms).toMs,
    leastIntervalMs: leastInterval(times)
  }
}

/** A day of a month: all that the fields speak of. */
interface Day { readonly date: number, readonly weekday: number, readonly last: number }

function timesOfDay ({ hour, minute, second }: CronFields): number[] {
  const times = new Set<number>()
  for (const h of hour) for (const m of minute) for (const s of second) times.add(((h * 60 + m) * 60 + s) * 1000)
  return [...times].sort((a, b) => a - b)
}

/** As if each day followed one that fits: the real one is never shorter. */
function leastInterval (times: readonly number[]): number {
  let least = (times[0] ?? 0) + dayMs - (times.at(-1) ?? 0)
  for (let i = 1; i < times.length; i++) least = Math.min(least, (times[i] ?? 0) - (times[i - 1] ?? 0))
  return least
}

function fitsDate (value: number | string, day: Day): boolean {
  if (typeof value === 'number') return value === day.date
  if (value === 'L') return day.date === day.last
  const offset = /^L-(\d{1,2})$/.exec(value)
  if (offset !== null) return day.last - Number(offset[1]) === day.date
  const weekday = /^(\d{1,2}|L)W$/.exec(value)
  return weekday !== null && nearestWeekday(weekday[1] === 'L' ? day.last : Number(weekday[1]), day) === day.date
}

/** The day from Monday to Friday that is nearest to a date in its month; 0 for a date that the month has not. */
function nearestWeekday (date: number, { date: today, weekday, last }: Day): number {
  if (date < 1 || date > last) return 0
  const its = (weekday + (date - today) % 7 + 7) % 7
  if (its === 6) return date === 1 ? 3 : date - 1
  if (its === 0) return date === last ? date - 2 : date + 1
  return date
}

function fitsWeekday (value: number | string, day: Day): boolean {
  if (typeof value === 'number') return value % 7 === day.weekday
  const last = /^([0-7])L$/.exec(value)
  if (last !== null) return Number(last[1]) % 7 === day.weekday && day.date + 7 > day.last
  const nth = /^([0-7])#([1-5])$/.exec(value)
  return nth !== null && Number(nth[1]) % 7 === day.weekday && Math.floor((day.date - 1) / 7) + 1 === Number(nth[2])
}
