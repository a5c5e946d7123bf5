import type { FaultKind, FaultRequest } from './faults.ts'
import type { PropagationSettings, RegionDelay } from './state/propagation.ts'

/** A request to the admin path that makes no sense; the message says why. */
export class AdminError extends Error {
  readonly status: number

  constructor (status: number, message: string) {
    super(message)
    this.status = status
  }
}

export type Members = Readonly<Record<string, unknown>>

const faultKinds: readonly FaultKind[] = [
  'throttle', 'error', 'slow', 'hang', 'reset', 'malformed-xml', 'truncated', 'empty', 'html', 'redirect', 'clock-skew'
]

const faultTexts = ['code', 'message', 'location']

/** The numbers that a fault may have, with their bounds. */
const faultNumbers: Readonly<Record<string, Bounds>> = {
  skip: [0, Infinity],
  probability: [0, 1],
  delayMs: [0, Infinity],
  jitterMs: [0, Infinity],
  status: [200, 599],
  skewMs: [-Infinity, Infinity]
}

/** Checks a fault that came as JSON. */
export function parseFault (body: Members): FaultRequest {
  const kind = faultKinds.find((one) => one === body.kind)
  if (kind === undefined) throw new AdminError(400, `kind: one of ${faultKinds.join(', ')} is needed`)
  requireKnown(body, ['kind', 'match', 'effect', 'count', ...faultTexts, ...Object.keys(faultNumbers)])
  const { match, effect, count } = body
  if (effect !== undefined && effect !== 'before' && effect !== 'after') {
    throw new AdminError(400, 'effect: before or after is needed')
  }
  const numbers = Object.entries(faultNumbers).flatMap(([name, bounds]) => {
    const value = numberOf(body, name, bounds)
    return value === undefined ? [] : [[name, value] as const]
  })
  const texts = faultTexts.flatMap((name) => {
    const value = body[name]
    if (value !== undefined && (typeof value !== 'string' || /[\r\n]/.test(value))) throw new AdminError(400, `${name}: a text is needed`)
    return value === undefined ? [] : [[name, value] as const]
  })
  return {
    kind,
    ...Object.fromEntries(numbers),
    ...Object.fromEntries(texts),
    ...effect === undefined ? {} : { effect },
    ...match === undefined ? {} : { match: parseMatch(match) },
    ...count === undefined ? {} : { count: count === null ? null : numberOf(body, 'count', [1, Infinity]) ?? 1 }
  }
}

function parseMatch (match: unknown): Readonly<Record<string, string>> {
  const known = ['service', 'action', 'region', 'accessKeyId', 'accountId', 'roleArn', 'sessionName']
  if (typeof match !== 'object' || match === null) throw new AdminError(400, 'match: an object is needed')
  for (const [name, value] of Object.entries(match)) {
    if (!known.includes(name) || typeof value !== 'string') {
      throw new AdminError(400, `match.${name}: one of ${known.join(', ')} with a text is needed`)
    }
  }
  return { ...match }
}

/** Checks delays that came as JSON; `never` is Infinity. */
export function parsePropagation (body: Members): PropagationSettings {
  requireKnown(body, ['delayMs', 'jitterMs', 'regions'])
  const regions = typeof body.regions === 'object' && body.regions !== null ? body.regions : {}
  return {
    ...parseDelay(body),
    regions: Object.fromEntries(Object.entries(regions).map(([name, value]) =>
      [name, parseDelay(typeof value === 'object' && value !== null ? value : {})]))
  }
}

function parseDelay (body: object): RegionDelay {
  const members = { ...body } as Members
  return {
    delayMs: members.delayMs === 'never' ? Infinity : numberOf(members, 'delayMs', [0, Infinity]) ?? 0,
    jitterMs: numberOf(members, 'jitterMs', [0, Infinity]) ?? 0
  }
}

type Bounds = readonly [min: number, max: number]

/** A number, or undefined when absent. @throws AdminError beyond the bounds. */
export function numberOf (body: Members, name: string, [min, max]: Bounds = [-Infinity, Infinity]): number | undefined {
  const value = body[name]
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !Number.isFinite(value) || value < min || value > max) {
    const bounds = max === Infinity ? ` of at least ${min}` : ` from ${min} to ${max}`
    throw new AdminError(400, `${name}: a number${min === -Infinity ? '' : bounds} is needed`)
  }
  return value
}

/** A misspelt member must not pass for one that was left out. */
export function requireKnown (body: Members, known: readonly string[]): void {
  const unknown = Object.keys(body).find((name) => !known.includes(name))
  if (unknown !== undefined) throw new AdminError(400, `${unknown.slice(0, 64)}: one of ${known.join(', ')} is needed`)
}
