import type { EgressRules, Resolve } from '../core/egress.ts'
import { createOutbound, type WireAnswer } from '../core/outbound.ts'
import { levelOf, type Delivery } from './delivery.ts'
import { parseDestination } from './destination.ts'
import type { Webhook } from './notifier.ts'
import { failed, failureOf, retryAfterMs, type Outcome } from './outcome.ts'
import { namesData, webhookBody } from './payload.ts'
import type { MountNames } from './ports.ts'
import { signatureHeaders, type Signed } from './signature.ts'

export interface Sending {
  readonly egress: EgressRules
  readonly findAddresses: Resolve
  readonly mounts: MountNames
  /** The store's time. */
  readonly now: () => number
}

const limits = { deadlineMs: 10_000, connectMs: 5000, socketsMax: 1, answerBytesMax: 65_536, idleMs: 0 }

/** Sends one signed request. Whatever is answered beside the status is dropped. */
export async function postWebhook (webhook: Webhook, signed: Signed, sending: Sending): Promise<Outcome> {
  const { egress, findAddresses, now } = sending
  try {
    const { endpoint, path } = parseDestination('url', webhook.url, egress)
    const outbound = createOutbound({ ...limits, endpoint, findAddresses })
    const headers = {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(signed.body)),
      host: endpoint.host,
      'user-agent': 'latchkey',
      ...signatureHeaders(signed, webhook.secrets, now())
    }
    return outcomeOf(await outbound.send({ method: 'POST', path, headers, body: signed.body, dropBody: true }), now())
  } catch (error) {
    return failureOf(error)
  }
}

function outcomeOf (answer: WireAnswer, nowMs: number): Outcome {
  const { status } = answer
  if (status >= 200 && status < 300) return { kind: 'done', status, told: {} }
  if (status === 410) return failed('it answered 410, and wants nothing any more', { status, retry: 'gone' })
  if (status >= 300 && status < 400) return failed(`it answered ${status}: redirects are not followed`, { status })
  return failed(`it answered ${status}`, { status, retryAfterMs: retryAfterMs(answer, nowMs) })
}

/** Tells a webhook of an event, or of the present name of a mount. */
export async function tellWebhook (webhook: Webhook, { id, subject }: Delivery, sending: Sending): Promise<Outcome> {
  if (subject.kind === 'event') {
    return postWebhook(webhook, { id, body: webhookBody(subject.type, subject.atMs, subject.data) }, sending)
  }
  const { mounts } = sending
  const [[accessor, level] = ['', 0]] = Object.entries(subject.levels)
  const mount = mounts.byAccessor(accessor)
  const present = mount === null ? null : levelOf(mount)
  if (mount === null || present === null || present > level) return { kind: 'moot' }
  // Another broker advanced the mount, and told so before this one heard of it.
  if (present < level) return { kind: 'later' }
  const name = webhook.includeName ? mounts.presentName(mount) : null
  const body = webhookBody('rotation', mount.rotation?.startedAtMs ?? 0, namesData(mount, name))
  const outcome = await postWebhook(webhook, { id, body }, sending)
  return outcome.kind === 'done' ? { ...outcome, told: subject.levels } : outcome
}
