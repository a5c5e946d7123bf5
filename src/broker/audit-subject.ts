import type { AuditAnswer, AuditSubject } from '../audit/entry.ts'
import { BrokerError } from '../core/errors.ts'
import { StoreIntegrity, StoreUnavailable } from '../core/store.ts'
import type { Verdict } from './gate.ts'
import type { BrokerRequest } from './request.ts'

const noKeys: ReadonlySet<string> = new Set()

/** A request and what the gate made of it, as the audit log tells of them. */
export function auditSubject (request: BrokerRequest, verdict: Verdict): AuditSubject {
  const { live, work } = verdict
  return {
    id: request.id,
    operation: verdict.operation,
    path: verdict.path,
    data: request.data,
    remoteAddress: request.remoteAddress,
    remotePort: request.remotePort,
    socketAddress: request.socketAddress,
    wrapTtlSeconds: request.wrapTtlSeconds,
    clientToken: request.clientToken,
    mount: verdict.mount,
    token: live?.token ?? null,
    usesLeft: live?.usesLeft ?? null,
    policyResults: { allowed: verdict.allowed, grantedBy: verdict.grantedBy },
    secretKeys: work?.operation === null || work?.operation.freeForm === true ? 'all' : noKeys,
    denial: verdict.denial === null ? null : publicSentence(verdict.denial)
  }
}

/** An answer that is an error, as the audit log tells of it. */
export function failedAnswer (error: unknown): AuditAnswer {
  return { error: publicSentence(error) }
}

/** What the client is told; whatever is no error of ours is only told to have happened. */
function publicSentence (error: unknown): string {
  if (error instanceof BrokerError) return error.message
  if (error instanceof StoreUnavailable || error instanceof StoreIntegrity) return error.message
  return 'internal error'
}
