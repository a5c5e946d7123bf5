import type { Call, Operation, Outcome, Verb } from '../../src/core/backend.ts'
import { readInput } from '../../src/core/fields.ts'
import type { JsonObject } from '../../src/core/json.ts'
import type { Token } from '../../src/core/model.ts'
import { mountOf } from '../audit/fixtures.ts'

export interface Asked {
  readonly data?: JsonObject
  readonly captured?: Readonly<Record<string, string>>
  readonly token?: Token
  readonly nowMs?: number
}

/** Runs an operation of a table of `sys/` as the door would, without token, mount or audit. */
export function callOf (operations: readonly Operation[], nowMs: number) {
  return async (verb: Verb, path: string, asked: Asked = {}): Promise<Outcome> => {
    const { data = {}, captured = {}, token, nowMs: at = nowMs } = asked
    const operation = operations.find((each) => each.verb === verb && each.path === path)
    if (operation === undefined) throw new Error(`no operation ${verb} ${path}`)
    const { input } = readInput(operation.fields, data, new Map(Object.entries(captured)), '')
    const call: Call = {
      mount: mountOf({ path: 'sys', type: 'system' }),
      store: {
        get: async () => [], key: (key) => key, commit: async () => [], list: async () => []
      },
      nowMs: at,
      ttlBounds: { ttlSecondsDefault: 3600, ttlSecondsMax: 3600 },
      request: {
        id: 'id', path: `sys/${path}`, operation: 'update', remoteAddress: '127.0.0.1', wrapTtlSeconds: null,
        clientToken: null, data, bodyText: null, accept: '', ifNoneMatch: ''
      },
      caller: token ?? null,
      token: token ?? null,
      usesLeft: null
    }
    return operation.run(call, input)
  }
}
