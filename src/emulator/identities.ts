import type { PolicyDocument } from './authorization/document.ts'
import type { World } from './state/world.ts'

/** The accounts, keys and roles that an emulator started with; for printing and for programs. */
export interface Identities {
  readonly accounts: readonly AccountIdentity[]
}

export interface AccountIdentity {
  readonly id: string
  readonly alias: string | null
  readonly organizationId: string | null
  readonly rootAccessKeys: readonly KeyIdentity[]
  readonly users: readonly {
    readonly name: string
    readonly arn: string
    readonly id: string
    readonly accessKeys: readonly KeyIdentity[]
  }[]
  readonly roles: readonly {
    readonly name: string
    readonly arn: string
    readonly id: string
    readonly maxSessionSeconds: number
    /** Values and patterns that the trust policy asks for in sts:ExternalId. */
    readonly externalIds: readonly string[]
  }[]
}

export interface KeyIdentity {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

export function listIdentities (world: World): Identities {
  return {
    accounts: world.accounts().map((account) => ({
      id: account.id,
      alias: account.alias,
      organizationId: account.organizationId,
      rootAccessKeys: account.rootKeys.map(({ id, secret }) => ({ accessKeyId: id, secretAccessKey: secret })),
      users: account.users.list().map(({ name, arn, id, accessKeys }) => ({
        name,
        arn,
        id,
        accessKeys: accessKeys.map((key) => ({ accessKeyId: key.id, secretAccessKey: key.secret }))
      })),
      roles: account.roles.list().map(({ name, arn, id, maxSessionSeconds, trust }) =>
        ({ name, arn, id, maxSessionSeconds, externalIds: externalIdsOf(trust) }))
    }))
  }
}

function externalIdsOf ({ source }: PolicyDocument): readonly string[] {
  const found: string[] = []
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    for (const [name, child] of Object.entries(value)) {
      if (name.toLowerCase() === 'sts:externalid') found.push(...[child].flat().map(String))
      else visit(child)
    }
  }
  visit(source['Statement'])
  return [...new Set(found)]
}
