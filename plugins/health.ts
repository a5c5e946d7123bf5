import type { FastifyInstance } from 'fastify'
import { BrokerError, invalidRequest } from '../src/core/errors.ts'
import { parseGoBoolean } from '../src/core/fields.ts'
import type { JsonObject } from '../src/core/json.ts'
import { parseTarget, type Query } from '../src/core/path.ts'
import { writeError, writeJson } from './errors.ts'

/** How the broker is, for whoever asks: nothing here is secret. */
export interface HealthReport {
  readonly initialized: boolean
  readonly sealed: boolean
  readonly standby: boolean
  /** The rest of the body: version, time, cluster. */
  readonly details: JsonObject
}

const codeNames = { active: 'activecode', standby: 'standbycode', sealed: 'sealedcode', uninitialized: 'uninitcode' } as const
type State = keyof typeof codeNames
const defaultCodes: Readonly<Record<State, number>> = { active: 200, standby: 429, sealed: 503, uninitialized: 501 }

/**
 * `GET` and `HEAD /v1/sys/health` (contract 5.6), by the exact spelling only: neither a token nor the
 * audit log is asked, so that it answers when they cannot.
 */
export function addHealth (app: FastifyInstance, report: () => HealthReport): void {
  app.all('/v1/sys/health', (request, reply) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      writeError(reply.raw, new BrokerError('unsupported_operation', ''), [])
      return
    }
    const target = parseTarget(request.originalUrl)
    const codes = target instanceof BrokerError ? target : readCodes(target.query)
    if (codes instanceof BrokerError) {
      writeError(reply.raw, codes, [])
      return
    }
    const { initialized, sealed, standby, details } = report()
    const state = !initialized ? 'uninitialized' : sealed ? 'sealed' : standby && !codes.standbyOk ? 'standby' : 'active'
    writeJson(reply.raw, codes[state], JSON.stringify({ initialized, sealed, standby, ...details }), [])
  })
}

function readCodes (query: Query): Readonly<Record<State, number>> & { readonly standbyOk: boolean } | BrokerError {
  const codes = { ...defaultCodes, standbyOk: false }
  for (const state of Object.keys(defaultCodes) as State[]) {
    const text = query[codeNames[state]]
    if (text === undefined || text === '') continue
    if (typeof text !== 'string' || !/^[2-5]\d\d$/.test(text)) return invalidRequest('')
    codes[state] = Number(text)
  }
  const standbyOk = query['standbyok'] ?? ''
  const parsed = standbyOk === '' ? false : typeof standbyOk === 'string' ? parseGoBoolean(standbyOk) : null
  if (parsed === null) return invalidRequest('')
  return { ...codes, standbyOk: parsed }
}
