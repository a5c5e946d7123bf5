import { AdminError, numberOf, parseFault, parsePropagation, requireKnown, type Members } from './admin-values.ts'
import type { Faults } from './faults.ts'
import type { Incoming } from './http/incoming.ts'
import { isLoopback } from './http/loopback.ts'
import type { Identities } from './identities.ts'
import type { RateLimit } from './rate-limit.ts'
import type { EmulatorClock } from './state/clock.ts'
import type { Propagation, PropagationSettings, RegionDelay } from './state/propagation.ts'
import type { Trail } from './trail.ts'

export interface AdminParts {
  readonly clock: EmulatorClock
  readonly faults: Faults
  readonly trail: Trail
  readonly propagation: Propagation
  readonly rateLimit: RateLimit
  identities (): Identities
}

/** An answer of the admin path: always JSON. */
export interface AdminAnswer {
  readonly status: number
  readonly body: unknown
}

export const adminPrefix = '/_emulator'

type AdminOperation = (body: Members, query: URLSearchParams, rest: string) => unknown

/**
 * The emulator's own path: clock, faults, trail, propagation, limits, identities.
 *
 * Only a loopback address reaches it, and only under a loopback name: a page in a browser that
 * had a name of its own resolved to loopback is refused.
 */
export function createAdmin (parts: AdminParts): (request: Incoming) => AdminAnswer {
  const operations = operationsOf(parts)
  return (request) => {
    try {
      checkLoopback(request)
      const [, first = '', rest = ''] = request.path.slice(adminPrefix.length).split('/')
      const operation = operations[`${request.method} ${first}`]
      if (operation === undefined) throw new AdminError(404, `no such admin operation: ${request.method} ${request.path}`)
      return { status: 200, body: operation(parseBody(request), new URLSearchParams(request.query), rest) }
    } catch (error) {
      if (error instanceof AdminError) return { status: error.status, body: { error: error.message } }
      throw error
    }
  }
}

function operationsOf (parts: AdminParts): Readonly<Record<string, AdminOperation>> {
  const { clock, faults, trail, propagation, rateLimit } = parts
  const clockView = () => ({ nowMs: clock.now(), now: new Date(clock.now()).toISOString(), frozen: clock.isFrozen() })
  return {
    'GET ': () => ({
      what: 'an AWS emulator; this is not AWS', clock: clockView(), faults: faults.list().length, trail: trail.count()
    }),
    'GET identities': () => parts.identities(),
    'GET clock': clockView,
    'POST clock': (body) => {
      moveClock(clock, body)
      return clockView()
    },
    'GET faults': () => ({ faults: faults.list() }),
    'POST faults': (body) => faults.add(parseFault(body)),
    'DELETE faults': (_body, _query, id) => {
      if (id === '') faults.clear()
      else if (!faults.remove(id)) throw new AdminError(404, `no fault ${id}`)
      return { faults: faults.list() }
    },
    'GET trail': (_body, query) => ({ events: trail.events(filterOf(query)), count: trail.count() }),
    'DELETE trail': () => {
      trail.clear()
      return { events: [], count: trail.count() }
    },
    'GET propagation': () => shownDelays(propagation.settings()),
    'POST propagation': (body) => {
      propagation.configure(parsePropagation(body))
      return shownDelays(propagation.settings())
    },
    'GET limits': () => ({ stsRequestsPerSecond: rateLimit.perSecond() }),
    'POST limits': (body) => {
      requireKnown(body, ['stsRequestsPerSecond'])
      rateLimit.configure(body.stsRequestsPerSecond === null ? null : numberOf(body, 'stsRequestsPerSecond', [1, Infinity]) ?? null)
      return { stsRequestsPerSecond: rateLimit.perSecond() }
    }
  }
}

function moveClock (clock: EmulatorClock, body: Members): void {
  requireKnown(body, ['advanceSeconds', 'advanceMs', 'set', 'setMs', 'freeze', 'resume'])
  if (body.freeze === true) clock.freeze()
  const { set } = body
  const setMs = numberOf(body, 'setMs') ??
    (set === undefined ? undefined : typeof set === 'string' ? Date.parse(set) : Number.NaN)
  if (setMs !== undefined) {
    if (!isDate(setMs)) throw new AdminError(400, 'set: an instant is needed')
    clock.set(setMs)
  }
  const advanceMs = numberOf(body, 'advanceMs') ?? 1000 * (numberOf(body, 'advanceSeconds') ?? 0)
  if (!isDate(clock.now() + advanceMs)) throw new AdminError(400, 'advance: beyond what a date can be')
  clock.advance(advanceMs)
  if (body.resume === true) clock.resume()
}

function isDate (ms: number): boolean {
  return !Number.isNaN(new Date(ms).getTime())
}

function shownDelays ({ regions, ...all }: PropagationSettings): unknown {
  const shown = ({ delayMs, jitterMs }: RegionDelay) =>
    ({ delayMs: delayMs === Infinity ? 'never' : delayMs, jitterMs })
  return {
    ...shown(all), regions: Object.fromEntries(Object.entries(regions).map(([name, one]) => [name, shown(one)]))
  }
}

function filterOf (query: URLSearchParams) {
  const text = (name: string, as: string) => {
    const value = query.get(name)
    return value === null ? {} : { [as]: value }
  }
  const from = query.get('from')
  return {
    ...text('eventName', 'eventName'),
    ...text('accountId', 'accountId'),
    ...text('roleArn', 'roleArn'),
    ...text('sessionName', 'sessionName'),
    ...from === null ? {} : { from: Number(from) }
  }
}

function parseBody ({ body }: Incoming): Members {
  if (body.length === 0) return {}
  try {
    const value: unknown = JSON.parse(body.toString())
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw new AdminError(400, 'the body: a JSON object is needed')
}

function checkLoopback ({ headers, sourceIp }: Incoming): void {
  const host = (headers.get('host') ?? '').replace(/:\d+$/, '')
  const isNamed = isLoopback(host) || host === 'localhost' || host.endsWith('.localhost')
  const isPage = headers.has('origin') || headers.has('sec-fetch-site')
  if (!isLoopback(sourceIp) || !isNamed || isPage) {
    throw new AdminError(403, 'only for programs on this machine')
  }
}
