import type { Verb } from '../core/backend.ts'
import { BrokerError } from '../core/errors.ts'
import { requestId } from '../core/ids.ts'
import { isJsonObject, type JsonObject } from '../core/json.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { key, SYS, type Store } from '../core/store.ts'
import type { BrokerRequest, BrokerResponse } from '../broker/request.ts'
import type { BootstrapPlan, PlannedWrite } from './plan.ts'

const digestKey = key(SYS, 'bootstrap')

/** Sends requests through the door as an operator would. */
export interface Operator {
  write (path: string, data: JsonObject): Promise<JsonObject | null>
  /** null where nothing is there. */
  find (path: string): Promise<JsonObject | null>
}

/** An operator who holds a token: audited like everybody, and allowed what the token allows. */
export function createOperator (
  handle: (request: BrokerRequest) => Promise<BrokerResponse>, clientToken: string, now: () => number
): Operator {
  async function send (verb: Verb, path: string, data: JsonObject): Promise<JsonObject | null> {
    const response = await handle({
      id: requestId(),
      receivedAtMs: now(),
      verb,
      head: false,
      path,
      clientToken,
      data,
      bodyText: verb === 'write' ? JSON.stringify(data) : null,
      accept: '',
      ifNoneMatch: '',
      remoteAddress: '127.0.0.1',
      remotePort: 0,
      socketAddress: '127.0.0.1',
      wrapTtlSeconds: null,
      refusal: null
    })
    if (response.kind !== 'body') return null
    const envelope: unknown = JSON.parse(response.json)
    return isJsonObject(envelope) && isJsonObject(envelope['data']) ? envelope['data'] : null
  }

  return {
    write: (path, data) => send('write', path, data),
    async find (path) {
      try {
        return await send('read', path, {})
      } catch (error) {
        if (error instanceof BrokerError && ['not_found', 'invalid_request'].includes(error.code)) return null
        throw error
      }
    }
  }
}

/**
 * Makes the broker hold what a plan says, once for each plan: a start with the same plan changes
 * nothing, so that what operators changed since stays. Repeatable after a crash, and harmless when
 * two brokers do it at once: each write says what shall be.
 *
 * @returns whether anything was written
 * @throws Error naming the write that was refused, and why.
 */
export async function applyBootstrap (plan: BootstrapPlan, operator: Operator, store: Store): Promise<boolean> {
  const [applied] = await store.get([digestKey])
  if (applied && decodeRecord<{ digest: string }>(applied.value).digest === plan.digest) return false
  for (const write of plan.writes) await applyOne(write, operator)
  await store.commit([{ op: 'put', key: digestKey, value: encodeRecord({ digest: plan.digest }) }])
  return true
}

async function applyOne ({ path, data, unlessPresent }: PlannedWrite, operator: Operator): Promise<void> {
  try {
    if (unlessPresent && await operator.find(path) !== null) return
    await operator.write(path, data)
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
    if (unlessPresent && await operator.find(path) !== null) return
    throw new Error(`the bootstrap's write to ${path} was refused: ${error.message}`, { cause: error })
  }
}
