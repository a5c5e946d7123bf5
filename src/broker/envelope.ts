import type { JsonObject } from '../core/json.ts'

/** The parts of an answer's envelope (contract 1.5). Seconds. */
export interface EnvelopeParts {
  readonly requestId: string
  readonly leaseId?: string
  readonly renewable?: boolean
  readonly leaseDurationSeconds?: number
  readonly data?: JsonObject | null
  readonly auth?: JsonObject | null
  readonly wrapInfo?: JsonObject | null
  readonly warnings?: readonly string[]
  /** Every key of `data` also stands at the top level. */
  readonly mirrored?: boolean
}

/** The JSON text of an envelope: all eight keys, always. */
export function envelope (parts: EnvelopeParts): string {
  const { warnings = [], data = null } = parts
  return JSON.stringify({
    ...(parts.mirrored === true && data),
    request_id: parts.requestId,
    lease_id: parts.leaseId ?? '',
    renewable: parts.renewable ?? false,
    lease_duration: parts.leaseDurationSeconds ?? 0,
    data,
    wrap_info: parts.wrapInfo ?? null,
    warnings: warnings.length === 0 ? null : warnings,
    auth: parts.auth ?? null
  })
}
