import { BlockList, isIP } from 'node:net'

type ScalarTest = (actual: string) => boolean | null

const numberPattern = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const datePattern = /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[Tt](\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?(Z|z|[+-]\d\d(?::?\d\d)?))?)?)?$/
const epochPattern = /^-?\d{1,15}$/
const base64Pattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

function parseNumber (text: string): number | null {
  return numberPattern.test(text) ? Number(text) : null
}

/**
 * The instant in milliseconds that a date of a policy or a request means: an ISO 8601 form of
 * W3C's note, or seconds since 1970 (AWS: date condition operators). null: neither.
 */
export function findInstantMs (text: string): number | null {
  const match = datePattern.exec(text)
  if (match === null) return epochPattern.test(text) ? Number(text) * 1000 : null
  const [year, month = 1, day = 1, hour = 0, minute = 0, second = 0] = match.slice(1, 7)
    .map((part) => part === undefined ? undefined : Number(part))
  const ms = Math.trunc(Number(match[7] ?? 0) * 1000)
  const date = new Date(Date.UTC(year ?? 0, month - 1, day, hour, minute, second, ms))
  date.setUTCFullYear(year ?? 0)
  const exists = date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  if (!exists || hour > 23 || minute > 59 || second > 59) return null
  return date.getTime() - offsetMs(match[8] ?? 'Z')
}

function offsetMs (zone: string): number {
  if (zone === 'Z' || zone === 'z') return 0
  const digits = zone.slice(1).replace(':', '').padEnd(4, '0')
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2))
  return (zone.startsWith('-') ? -minutes : minutes) * 60_000
}

function comparing (
  read: (text: string) => number | null, agrees: (actual: number, expected: number) => boolean
): (expectedText: string) => ScalarTest {
  return (expectedText) => {
    const expected = read(expectedText)
    return (actualText) => {
      const actual = read(actualText)
      return actual === null || expected === null ? null : agrees(actual, expected)
    }
  }
}

/** Numeric operators; text that is not a number agrees with nothing and differs from nothing. */
export function numberTest (agrees: (actual: number, expected: number) => boolean) {
  return comparing(parseNumber, agrees)
}

/** Date operators, likewise. */
export function dateTest (agrees: (actual: number, expected: number) => boolean) {
  return comparing(findInstantMs, agrees)
}

/** Bool: `true` and `false` in any case, nothing else. */
export function boolTest (expected: string): ScalarTest {
  const wanted = expected.toLowerCase()
  return (actualText) => {
    const actual = actualText.toLowerCase()
    if (![wanted, actual].every((text) => text === 'true' || text === 'false')) return null
    return actual === wanted
  }
}

/** BinaryEquals: both sides are base64 and are compared byte for byte. */
export function binaryTest (expected: string): ScalarTest {
  const wanted = base64Pattern.test(expected) ? Buffer.from(expected, 'base64') : null
  return (actual) => {
    if (wanted === null || !base64Pattern.test(actual)) return null
    return Buffer.from(actual, 'base64').equals(wanted)
  }
}

/** IpAddress: an address, or a range in CIDR notation, of either family. */
export function ipTest (expected: string): ScalarTest {
  const [address = '', length] = expected.split('/')
  const family = address.includes('%') ? 0 : isIP(address)
  const longest = family === 4 ? 32 : 128
  const prefix = length === undefined ? longest : /^\d{1,3}$/.test(length) ? Number(length) : -1
  if (family === 0 || prefix < 0 || prefix > longest || expected.split('/').length > 2) {
    return () => null
  }
  const range = new BlockList()
  range.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6')
  return (actual) => {
    const actualFamily = actual.includes('%') ? 0 : isIP(actual)
    if (actualFamily === 0) return null
    return actualFamily === family && range.check(actual, family === 4 ? 'ipv4' : 'ipv6')
  }
}
