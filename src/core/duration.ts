import { isJsonObject } from './json.ts'

const unitSeconds: Readonly<Record<string, number>> = {
  ns: 1e-9, us: 1e-6, 'µs': 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600
}
const goDuration = /^(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+$/
const goPart = /(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g

/** The longest duration anyone may name: 100 years, in seconds. Beyond it a number is a mistake. */
const secondsMax = 3_155_760_000

/** Why a text is not a duration; its message is public and ends an error sentence. */
export class DurationError extends Error {
  override readonly name = 'DurationError'
}

/**
 * Whole seconds of a duration as clients write it (contract 1.11): a number, digits, Go text such
 * as `1h30m`, or days as `7d`. Fractions are cut, except that what is not zero never becomes zero:
 * `0` often means "unlimited".
 *
 * @throws DurationError for anything else, negative, or above 100 years.
 */
export function parseSeconds (raw: unknown): number {
  const seconds = typeof raw === 'number' ? raw : secondsOfText(raw)
  if (seconds < 0) throw new DurationError(`cannot provide negative value '${seconds}'`)
  if (!Number.isFinite(seconds) || seconds > secondsMax) throw new DurationError('duration is out of range')
  return seconds > 0 && seconds < 1 ? 1 : Math.trunc(seconds)
}

function secondsOfText (raw: unknown): number {
  if (typeof raw !== 'string') {
    throw new DurationError(`expected a duration, got ${Array.isArray(raw) ? 'a list' : isJsonObject(raw) ? 'an object' : typeof raw}`)
  }
  const text = raw.trim()
  if (text === '') return 0
  if (text.length > 64) throw new DurationError('invalid duration, too long')
  if (/^[+-]?\d+(?:\.\d+)?$/.test(text)) return Number(text)
  if (/^-?\d+d$/.test(text)) return Number(text.slice(0, -1)) * 86_400
  const negative = text.startsWith('-')
  const body = negative ? text.slice(1) : text
  if (!goDuration.test(body)) throw new DurationError(`invalid duration ${JSON.stringify(text)}`)
  let seconds = 0
  for (const [, amount, unit = 's'] of body.matchAll(goPart)) seconds += Number(amount) * (unitSeconds[unit] ?? 1)
  return negative ? -seconds : seconds
}

/** Go's text for whole seconds: `1h0m0s`, `30m0s`, `5s`, `0s` (contract 6.3). */
export function formatDuration (seconds: number): string {
  const h = Math.floor(seconds / 3600)
  const m = Math.floor(seconds % 3600 / 60)
  const s = seconds % 60
  if (h > 0) return `${h}h${m}m${s}s`
  return m > 0 ? `${m}m${s}s` : `${s}s`
}

/** Go's text as warnings print it, without the zero parts at its end: `1h`, `1h30m`, `45s` (contract 3.6). */
export function formatDurationShort (seconds: number): string {
  return formatDuration(seconds).replace(/(?<=m)0s$/, '').replace(/(?<=h)0m$/, '')
}
