import type { AuditAnswer, AuditSubject } from '../audit/entry.ts'
import type { Clock } from '../core/clock.ts'
import { BrokerError } from '../core/errors.ts'
import type { Token } from '../core/model.ts'
import type { LiveToken } from '../tokens/token-store.ts'
import { auditSubject, failedAnswer } from './audit-subject.ts'
import type { Gate, Verdict } from './gate.ts'
import type { BrokerRequest, BrokerResponse } from './request.ts'
import type { Settled, Settlement } from './settlement.ts'

/** Writes down what is asked and what is answered; both reject when no device could write. */
export interface AuditTrail {
  recordRequest (subject: AuditSubject): Promise<void>
  recordResponse (subject: AuditSubject, answer: AuditAnswer): Promise<void>
}

export interface BrokerOptions {
  readonly clock: Clock
  readonly gate: Gate
  readonly settlement: Settlement
  readonly audit: AuditTrail
  readonly revokeToken: (accessor: string, nowMs: number) => Promise<boolean>
  /** Told of every request that is over, for metrics. */
  readonly observe: (verdict: Verdict, outcome: string, seconds: number) => void
  /** Sees each request when its answer is decided, whatever it is. Takes no time, never throws. */
  readonly watch?: (seen: Seen) => void
}

/** A request as it went. */
export interface Seen {
  readonly request: BrokerRequest
  readonly verdict: Verdict
  /** null: it was answered with an error. */
  readonly settled: Settled | null
}

/**
 * The one door. Every operation on every mount passes through `handle`, and the order of its
 * steps is the security property: decide, record, run, record, confirm, answer. Where no audit
 * device can write, nothing is done before, and nothing is answered after.
 */
export function createBroker (
  { clock, gate, settlement, audit, revokeToken, observe, watch = () => {} }: BrokerOptions
) {
  async function work ({ head }: BrokerRequest, verdict: Verdict): Promise<Settled> {
    if (verdict.denial !== null) throw verdict.denial
    if (verdict.work === null) throw new Error('a request that is not denied has work')
    const outcome = await verdict.work.run()
    // Nobody would get it: HEAD is answered without a body (SEC-035).
    if (head && outcome.kind === 'credential') throw new BrokerError('unsupported_operation', 'unsupported operation')
    return settlement.settle(verdict.work, outcome, verdict.live)
  }

  async function answer (request: BrokerRequest, verdict: Verdict): Promise<BrokerResponse> {
    const subject = auditSubject(request, verdict)
    await audit.recordRequest(subject)
    let settled: Settled
    try {
      settled = await work(request, verdict)
    } catch (error) {
      await audit.recordResponse(subject, failedAnswer(error))
      watch({ request, verdict, settled: null })
      throw error
    }
    try {
      await audit.recordResponse(subject, settled.view)
      if (settled.confirm !== null) await settled.confirm()
    } catch (error) {
      if (settled.withdraw !== null) await settled.withdraw()
      throw error
    }
    watch({ request, verdict, settled })
    return settled.response
  }

  return {
    /** @throws BrokerError, or the store's errors; whatever else is thrown is a defect. */
    async handle (request: BrokerRequest): Promise<BrokerResponse> {
      const startedMs = performance.now()
      const verdict = await gate.admit(request, clock.now())
      const spent = spentToken(verdict.live)
      let outcome = 'ok'
      try {
        return await answer(request, verdict)
      } catch (error) {
        outcome = error instanceof BrokerError ? error.code : 'error'
        throw error
      } finally {
        observe(verdict, outcome, (performance.now() - startedMs) / 1000)
        if (spent !== null) await revokeToken(spent.accessor, clock.now())
      }
    }
  }
}

export type Broker = ReturnType<typeof createBroker>

/** The caller's token, where this request was its last use (contract 1.9, step 14). */
function spentToken (live: LiveToken | null): Token | null {
  return live?.usesLeft === 0 ? live.token : null
}
