import { operation, type Call, type Operation } from '../core/backend.ts'
import { BrokerError, invalidRequest } from '../core/errors.ts'
import { any, type Input } from '../core/fields.ts'
import { isJsonObject, parseExact } from '../core/json.ts'
import { wrappingTokenInvalid, type Wrapping } from '../wrapping/wrapping.ts'

const fields = { token: any('The wrapping token; absent: the token of the request.') }

/** sys/wrapping (contract 5.10). */
export function createWrappingOperations ({ wrapping }: { wrapping: Wrapping }): Operation[] {
  /** A wrapping token that is not valid is refused before anything is said about rights. */
  async function precheck (call: Call, input: Input<typeof fields>): Promise<void> {
    await wrapping.lookUp(wrappingTokenOf(call, input), call.nowMs)
  }

  const lookup = {
    path: 'wrapping/lookup',
    access: 'public',
    summary: 'Look at a wrapping token without using it',
    fields,
    async run (call: Call, input: Input<typeof fields>) {
      const facts = await wrapping.lookUp(wrappingTokenOf(call, input), call.nowMs)
      return {
        kind: 'data',
        data: {
          creation_ttl: facts.creationTtlSeconds,
          creation_time: new Date(facts.creationTimeMs).toISOString(),
          creation_path: facts.creationPath
        }
      } as const
    }
  } as const

  return [
    operation({
      verb: 'write',
      path: 'wrapping/wrap',
      access: 'capability',
      summary: 'Wrap the fields of the request',
      fields: {},
      freeForm: true,
      async run ({ request }) {
        if (request.wrapTtlSeconds === null) throw invalidRequest('endpoint requires response wrapping to be used')
        const exact = request.bodyText === null ? null : parseExact(request.bodyText)
        return { kind: 'data', data: isJsonObject(exact) ? exact : request.data }
      }
    }),
    operation({
      verb: 'write',
      path: 'wrapping/unwrap',
      access: 'capability',
      summary: 'Open a wrapped answer, once',
      fields,
      precheck,
      async run (call, input) {
        return { kind: 'envelope', json: await wrapping.unwrap(wrappingTokenOf(call, input), call.nowMs) }
      }
    }),
    operation({
      verb: 'write',
      path: 'wrapping/rewrap',
      access: 'capability',
      summary: 'Move a wrapped answer to a new wrapping token',
      fields,
      precheck,
      async run (call, input) {
        return { kind: 'wrapped', wrapInfo: await wrapping.rewrap(wrappingTokenOf(call, input), call.nowMs) }
      }
    }),
    operation({ ...lookup, verb: 'write' }),
    operation({ ...lookup, verb: 'read' })
  ]
}

function wrappingTokenOf ({ request }: Call, { token }: Input<typeof fields>): string {
  const text = token ?? request.clientToken
  if (text === null) throw tokenRefused('token is empty')
  if (typeof text !== 'string') throw tokenRefused('token is not a string')
  if (text === '') throw tokenRefused('token is empty')
  if (text.length > 2048) throw wrappingTokenInvalid()
  return text
}

function tokenRefused (cause: string): BrokerError {
  return new BrokerError('permission_denied', `error validating wrapping token: ${cause}`)
}
