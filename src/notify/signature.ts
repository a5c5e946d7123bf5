import { createHmac, randomBytes } from 'node:crypto'
import { invalidRequest } from '../core/errors.ts'

/** A secret that deliveries are signed with. */
export interface SigningSecret {
  /** Its bytes, in base64. */
  readonly key: string
  /** When a secret that was replaced ceases to sign; null: the present one. */
  readonly endsAtMs: number | null
}

/** What is signed, beside the time of the attempt (Standard Webhooks 1.0.0, "Signature scheme"). */
export interface Signed {
  readonly id: string
  readonly body: string
}

/** How long a replaced secret still signs, so that receivers can follow. */
const overlapMs = 86_400_000
/** Replaced secrets that sign at once; the oldest goes. */
const formerMax = 3
const prefix = 'whsec_'
const bytesMin = 24
const bytesMax = 64
const drawnBytes = 32

/** A fresh secret of 256 bits. */
export function drawSecret (): SigningSecret {
  return { key: randomBytes(drawnBytes).toString('base64'), endsAtMs: null }
}

/** @throws BrokerError `invalid_request` for what is no secret of 24 to 64 bytes in that form */
export function parseSecret (text: string): SigningSecret {
  const key = text.startsWith(prefix) ? text.slice(prefix.length) : ''
  const bytes = Buffer.from(key, 'base64')
  if (bytes.toString('base64') !== key || bytes.length < bytesMin || bytes.length > bytesMax) {
    throw invalidRequest(`a secret is ${prefix} and ${bytesMin} to ${bytesMax} bytes in base64`)
  }
  return { key, endsAtMs: null }
}

/** The secret as receivers configure it. */
export function secretText ({ key }: SigningSecret): string {
  return prefix + key
}

/** Puts a secret before the former ones, the last of which sign a while longer. */
export function replaced (secrets: readonly SigningSecret[], secret: SigningSecret, nowMs: number): SigningSecret[] {
  const former = secrets.filter(({ endsAtMs }) => endsAtMs === null || endsAtMs > nowMs)
    .map((each) => ({ ...each, endsAtMs: each.endsAtMs ?? nowMs + overlapMs }))
  return [secret, ...former.slice(0, formerMax)]
}

/** The headers that prove a delivery: its id, when the attempt was made, a signature by each secret in force. */
export function signatureHeaders (
  { id, body }: Signed, secrets: readonly SigningSecret[], nowMs: number
): Record<string, string> {
  const seconds = String(Math.floor(nowMs / 1000))
  const signatures = secrets
    .filter(({ endsAtMs }) => endsAtMs === null || endsAtMs > nowMs)
    .map(({ key }) => createHmac('sha256', Buffer.from(key, 'base64')).update(`${id}.${seconds}.${body}`).digest('base64'))
  return {
    'webhook-id': id,
    'webhook-timestamp': seconds,
    'webhook-signature': signatures.map((signature) => `v1,${signature}`).join(' ')
  }
}
