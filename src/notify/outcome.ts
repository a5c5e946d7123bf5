import { AddressRefused } from '../core/egress.ts'
import { BrokerError } from '../core/errors.ts'
import { OutboundFailure, type WireAnswer } from '../core/outbound.ts'
import type { Levels } from './delivery.ts'

/** What an attempt came to. */
export type Outcome =
  /** `told`: which names, where names were told. */
  | { readonly kind: 'done', readonly status: number, readonly told: Levels }
  /** There is nothing to tell any more: a later one tells it, or the mount is gone. */
  | { readonly kind: 'moot' }
  /** This broker cannot tell it yet. */
  | { readonly kind: 'later' }
  | Failure

/** Why it was not told. */
export interface Failure {
  readonly kind: 'failed'
  /** In plain words, without URL and without what was answered. */
  readonly failure: string
  readonly status: number | null
  /** `again`: worth another attempt; `never`; `gone`: the receiver wants nothing any more. */
  readonly retry: 'again' | 'never' | 'gone'
  readonly retryAfterMs: number | null
}

export function failed (failure: string, more: Partial<Failure> = {}): Failure {
  return { kind: 'failed', failure, status: null, retry: 'again', retryAfterMs: null, ...more }
}

const unanswered: Readonly<Record<OutboundFailure['reason'], string>> = {
  unreachable: 'it could not be reached',
  late: 'it did not answer in time',
  cut: 'the connection broke off',
  'too-large': 'it answered with more than is read'
}

/** What was thrown in place of an answer, as a failure; what is a defect is thrown on. */
export function failureOf (error: unknown): Failure {
  // The destination was allowed when it was written, and is not any more.
  if (error instanceof BrokerError) return failed(error.message)
  if (!(error instanceof OutboundFailure)) throw error
  return failed(causeOf(error.cause) ?? unanswered[error.reason])
}

function causeOf (cause: unknown): string | null {
  if (cause instanceof AddressRefused) return 'its address is not one to connect to'
  const code = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : ''
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'its name could not be resolved'
  if (code === 'ECONNREFUSED') return 'it refused the connection'
  if (/CERT|SELF_SIGNED|ISSUER|UNABLE_TO_VERIFY/.test(code)) return 'its certificate does not prove who it is'
  return null
}

const retryAfterMsMax = 86_400_000

/** When the receiver wants the next attempt (RFC 9110 section 10.2.3), from now; null: it did not say. */
export function retryAfterMs ({ headers }: Pick<WireAnswer, 'headers'>, nowMs: number): number | null {
  const text = headers['retry-after']
  if (typeof text !== 'string') return null
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs
  return Number.isFinite(ms) ? Math.ceil(Math.min(retryAfterMsMax, Math.max(0, ms))) : null
}
