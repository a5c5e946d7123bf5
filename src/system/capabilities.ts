import { operation, type Operation, type Outcome } from '../core/backend.ts'
import { invalidRequest, permissionDenied } from '../core/errors.ts'
import { commaList, text } from '../core/fields.ts'
import type { Json } from '../core/json.ts'
import type { Token } from '../core/model.ts'
import type { Acl } from '../policies/acl.ts'

/** Most paths of one question. */
const pathsMax = 1000

export interface CapabilityOptions {
  /** A path with its mount's own path in place of a name that rotates. */
  readonly stablePathOf: (path: string) => string
  readonly aclFor: (policies: readonly string[]) => Acl
  /** The live token of a client token or an accessor; null where there is none. */
  readonly tokens: {
    find (clientToken: string, nowMs: number): Promise<Token | null>
    findByAccessor (accessor: string, nowMs: number): Promise<Token | null>
  }
}

interface PathInput {
  readonly paths?: string[] | undefined
  readonly path?: string[] | undefined
}

const pathFields = {
  paths: commaList('Paths to tell the capabilities of'),
  path: commaList('The older name of `paths`')
}

/** `sys/capabilities`, `-self`, `-accessor` (contract 4.9) and `sys/internal/ui/resultant-acl` (contract 4.10). */
export function createCapabilityOperations ({ aclFor, tokens, stablePathOf }: CapabilityOptions): Operation[] {
  function answer (token: Token, { paths = [], path = [] }: PathInput): Outcome {
    const asked = new Set([...paths, ...path])
    if (asked.size === 0) throw invalidRequest('paths must be supplied')
    if (asked.size > pathsMax) throw invalidRequest(`at most ${pathsMax} paths may be supplied`)
    const acl = aclFor(token.policies)
    const data: Record<string, Json> = Object.create(null)
    for (const each of asked) {
      data[each] = acl.capabilities(stablePathOf(each))
      if (asked.size === 1) data['capabilities'] = data[each]
    }
    return { kind: 'data', data }
  }

  return [
    operation({
      verb: 'write', path: 'capabilities-self', access: 'capability', mirrored: true,
      summary: 'Tell the capabilities of the caller\'s token on paths',
      fields: pathFields,
      async run ({ token }, input) {
        if (token === null) throw permissionDenied()
        return answer(token, input)
      }
    }),
    operation({
      verb: 'write', path: 'capabilities', access: 'capability', mirrored: true,
      summary: 'Tell the capabilities of a token on paths',
      fields: { ...pathFields, token: text('The token') },
      async run ({ nowMs }, input) {
        if (input.token === undefined || input.token === '') throw invalidRequest('no token found')
        const token = await tokens.find(input.token, nowMs)
        if (token === null) throw invalidRequest('invalid token')
        return answer(token, input)
      }
    }),
    operation({
      verb: 'write', path: 'capabilities-accessor', access: 'capability', mirrored: true,
      summary: 'Tell the capabilities of an accessor\'s token on paths',
      fields: { ...pathFields, accessor: text('The token\'s accessor') },
      async run ({ nowMs }, input) {
        if (input.accessor === undefined || input.accessor === '') throw invalidRequest('missing accessor')
        const token = await tokens.findByAccessor(input.accessor, nowMs)
        if (token === null) throw invalidRequest('invalid accessor')
        return answer(token, input)
      }
    }),
    operation({
      verb: 'read', path: 'internal/ui/resultant-acl', access: 'capability',
      summary: 'Tell all rules of the caller\'s token',
      fields: {},
      async run ({ token }) {
        if (token === null) throw permissionDenied()
        return { kind: 'data', data: aclFor(token.policies).resultant() }
      }
    })
  ]
}
