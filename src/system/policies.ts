import { operation, type Operation, type Outcome } from '../core/backend.ts'
import { invalidRequest, notFound } from '../core/errors.ts'
import { bool, duration, int, strictText, text } from '../core/fields.ts'
import type { JsonObject } from '../core/json.ts'
import { foldPolicyName } from '../core/policy-name.ts'
import { parseInstant } from '../policies/parse.ts'
import type { Policy, PolicyStore } from '../policies/policy-store.ts'

const name = text('Name of the policy; lower case')
const writeFields = {
  name,
  policy: strictText('The policy in HCL or JSON, or base64 of it'),
  cas: int('Version that this write replaces; -1: there must be none'),
  cas_required: bool('Whether each later write has to name the version it replaces'),
  expiration: text('When the policy ends, RFC 3339'),
  ttl: duration('When the policy ends, counted from now')
}

interface WriteInput {
  readonly policy?: string | undefined
  readonly cas?: number | undefined
  readonly cas_required?: boolean | undefined
  readonly expiration?: string | undefined
  readonly ttl?: number | undefined
}

/** `sys/policies/acl` and the older `sys/policy` (contract 4.8). */
export function createPolicyOperations ({ policies }: { policies: PolicyStore }): Operation[] {
  /** The names as clients list them, `root` last. */
  function keys (): string[] {
    return [...policies.list(), 'root']
  }

  function olderList (): Outcome {
    return { kind: 'data', data: { keys: keys(), policies: keys() } }
  }

  function readPolicy (raw: string | undefined): Policy {
    const policy = policies.find(raw ?? '')
    if (policy === null) throw notFound()
    return policy
  }

  async function write (raw: string, input: WriteInput, nowMs: number): Promise<Outcome> {
    await policies.put(raw, {
      text: decodeText(input.policy ?? ''),
      cas: input.cas,
      casRequired: input.cas_required,
      expiresAtMs: endOf(input, nowMs)
    })
    const folded = foldPolicyName(raw)
    return folded === raw ? { kind: 'none' } : { kind: 'none', warnings: [`policy name was converted to ${folded}`] }
  }

  return [
    operation({
      verb: 'list', path: 'policies/acl', access: 'capability', summary: 'List the policies', fields: {},
      run: async () => ({ kind: 'data', data: { keys: keys() } })
    }),
    operation({
      verb: 'read', path: 'policies/acl/:name', access: 'capability', summary: 'Read a policy', fields: { name },
      async run (_call, input) {
        const policy = readPolicy(input.name)
        return { kind: 'data', data: { name: policy.name, policy: policy.text, ...settingsOf(policy) } }
      }
    }),
    operation({
      verb: 'write', path: 'policies/acl/:name', access: 'capability', summary: 'Write a policy', fields: writeFields,
      run: ({ nowMs }, input) => write(input.name ?? '', input, nowMs)
    }),
    deletion('policies/acl/:name'),
    operation({
      verb: 'read', path: 'policy', access: 'capability', summary: 'List the policies', fields: {}, mirrored: true,
      run: async () => olderList()
    }),
    operation({
      verb: 'list', path: 'policy', access: 'capability', summary: 'List the policies', fields: {}, mirrored: true,
      run: async () => olderList()
    }),
    operation({
      verb: 'read', path: 'policy/:name', access: 'capability', summary: 'Read a policy', fields: { name }, mirrored: true,
      async run (_call, input) {
        const policy = readPolicy(input.name)
        return { kind: 'data', data: { name: policy.name, rules: policy.text } }
      }
    }),
    operation({
      verb: 'write', path: 'policy/:name', access: 'capability', summary: 'Write a policy',
      fields: { ...writeFields, rules: strictText('The policy; the older name of the parameter') },
      async run ({ nowMs }, input) {
        if (input.rules === undefined || input.policy !== undefined) return write(input.name ?? '', input, nowMs)
        const outcome = await write(input.name ?? '', { ...input, policy: input.rules }, nowMs)
        const converted = outcome.kind === 'none' ? outcome.warnings ?? [] : []
        return { kind: 'none', warnings: [...converted, '\'rules\' is deprecated, please use \'policy\' instead'] }
      }
    }),
    deletion('policy/:name')
  ]

  function deletion (path: string): Operation {
    return operation({
      verb: 'delete', path, access: 'capability', summary: 'Delete a policy', fields: { name },
      async run (_call, input): Promise<Outcome> {
        await policies.delete(input.name ?? '')
        return { kind: 'none' }
      }
    })
  }
}

/** The text itself, or what it says in base64 (contract 4.8). No policy with a rule is base64 by chance. */
function decodeText (sent: string): string {
  const compact = sent.replace(/[\r\n]/g, '')
  if (compact === '' || compact.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(compact)) return sent
  const bytes = Buffer.from(compact, 'base64')
  const decoded = bytes.toString('utf8')
  return Buffer.from(decoded, 'utf8').equals(bytes) ? decoded : sent
}

function endOf ({ expiration, ttl = 0 }: WriteInput, nowMs: number): number | null {
  if (expiration === undefined || expiration === '') return ttl > 0 ? nowMs + ttl * 1000 : null
  if (ttl > 0) throw invalidRequest('expiration and ttl cannot both be given')
  const expiresAtMs = parseInstant(expiration)
  if (expiresAtMs === null) throw invalidRequest('invalid expiration time: expected an RFC 3339 time')
  return expiresAtMs
}

/** Shown only where they were asked for: clients compare the answer with `{name, policy}`. */
function settingsOf ({ version, casRequired, expiresAtMs }: Policy): JsonObject {
  return {
    ...casRequired ? { version, cas_required: true } : {},
    ...expiresAtMs === null ? {} : { expiration: new Date(expiresAtMs).toISOString() }
  }
}
