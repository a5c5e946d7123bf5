import type { Cell, Propagation } from './propagation.ts'
import type {
  AccessKey, Group, InstanceProfile, ManagedPolicy, OidcProvider, Role, User
} from './records.ts'
import type { Ec2State } from '../ec2/ec2-state.ts'
import { awsManagedPolicies } from './aws-managed-policies.ts'

/** Named records of one kind in one account. Names differ by more than case, as in IAM. */
export interface Collection<T> {
  /** As the control plane has it. */
  find (name: string): T | null
  /** As a region sees it now. */
  findFrom (region: string, name: string): T | null
  put (name: string, value: T): void
  remove (name: string): void
  /** As the control plane has them, by name. */
  list (): readonly T[]
}

export interface Account {
  readonly id: string
  readonly alias: string | null
  /** `o-…`; accounts of one organization get fuller refusals. */
  readonly organizationId: string | null
  readonly rootKeys: readonly AccessKey[]
  readonly users: Collection<User>
  readonly groups: Collection<Group>
  readonly roles: Collection<Role>
  /** By ARN. */
  readonly policies: Collection<ManagedPolicy>
  readonly instanceProfiles: Collection<InstanceProfile>
  /** By URL without scheme. */
  readonly oidcProviders: Collection<OidcProvider>
  /** Regions in which STS has been switched off. */
  readonly stsDisabledRegions: ReadonlySet<string>
  /** Regions that are off until an account opts in. */
  readonly optedInRegions: ReadonlySet<string>
  readonly hostedZones: readonly string[]
  readonly buckets: readonly string[]
  readonly ec2: Ec2State
}

/** An account and what is fixed when it is made. */
export type AccountFacts = Pick<Account, 'id' | 'alias' | 'organizationId' | 'rootKeys' | 'stsDisabledRegions' |
  'optedInRegions' | 'hostedZones' | 'buckets' | 'ec2'>

/** Where an access key belongs: to a user, or to the account's root (null). */
export interface KeyOwner {
  readonly account: Account
  readonly userName: string | null
}

export interface World {
  account (id: string): Account | null
  accounts (): readonly Account[]
  addAccount (facts: AccountFacts): Account
  findKeyOwner (accessKeyId: string): KeyOwner | null
  /** Makes the key known; what it may do is read from its user. */
  registerKey (accessKeyId: string, owner: KeyOwner): void
  awsPolicies (): readonly ManagedPolicy[]
  /** A policy of this account, or one of AWS's, as the region sees it. */
  findPolicyFrom (region: string, arn: string): ManagedPolicy | null
  /** The same, as the control plane has it. */
  findPolicy (arn: string): ManagedPolicy | null
  /** The unique id of the user or role with this ARN, now. */
  findUniqueId (arn: string): string | null
  /** The ARN of the user or role with this unique id, now. */
  findArn (uniqueId: string): string | null
}

export function createWorld (propagation: Propagation, startedAtMs: number): World {
  const accounts = new Map<string, Account>()
  const keyOwners = new Map<string, KeyOwner>()
  const policiesOfAws = new Map(awsManagedPolicies(startedAtMs).map((policy) => [policy.arn, policy]))

  const accountOfArn = (arn: string): Account | null => accounts.get(arn.split(':')[4] ?? '') ?? null

  const findHolder = (arn: string): User | Role | null => {
    const match = /^arn:aws:iam::\d{12}:(user|role)\/(?:.*\/)?([^/]+)$/.exec(arn)
    const account = accountOfArn(arn)
    if (match === null || account === null) return null
    const holder = (match[1] === 'user' ? account.users : account.roles).find(match[2] ?? '')
    return holder?.arn === arn ? holder : null
  }

  return {
    account: (id) => accounts.get(id) ?? null,
    accounts: () => [...accounts.values()],
    addAccount (facts) {
      const account: Account = {
        ...facts,
        users: createCollection(propagation),
        groups: createCollection(propagation),
        roles: createCollection(propagation),
        policies: createCollection(propagation),
        instanceProfiles: createCollection(propagation),
        oidcProviders: createCollection(propagation)
      }
      accounts.set(account.id, account)
      return account
    },
    findKeyOwner: (accessKeyId) => keyOwners.get(accessKeyId) ?? null,
    registerKey (accessKeyId, owner) { keyOwners.set(accessKeyId, owner) },
    awsPolicies: () => [...policiesOfAws.values()],
    findPolicyFrom: (region, arn) =>
      policiesOfAws.get(arn) ?? sameArn(accountOfArn(arn)?.policies.findFrom(region, arn), arn),
    findPolicy: (arn) => policiesOfAws.get(arn) ?? sameArn(accountOfArn(arn)?.policies.find(arn), arn),
    findUniqueId: (arn) => findHolder(arn)?.id ?? null,
    findArn (uniqueId) {
      for (const { users, roles } of accounts.values()) {
        const holder = [...users.list(), ...roles.list()].find(({ id }) => id === uniqueId)
        if (holder !== undefined) return holder.arn
      }
      return null
    }
  }
}

/** Names are unique whatever their case, but an ARN is what it is: a right on it must not be evaded by another spelling. */
function sameArn (policy: ManagedPolicy | null | undefined, arn: string): ManagedPolicy | null {
  return policy?.arn === arn ? policy : null
}

function createCollection<T> (propagation: Propagation): Collection<T> {
  const cells = new Map<string, Cell<T>>()
  const keyOf = (name: string) => name.toLowerCase()

  const write = (name: string, value: T | null): void => {
    const key = keyOf(name)
    const cell = cells.get(key) ?? propagation.cell<T>()
    cells.set(key, cell)
    cell.set(value)
    if (cell.isGone()) cells.delete(key)
  }

  const forgetGone = (): void => {
    for (const [key, cell] of cells) if (cell.isGone()) cells.delete(key)
  }

  return {
    find: (name) => cells.get(keyOf(name))?.current() ?? null,
    findFrom: (region, name) => cells.get(keyOf(name))?.seenFrom(region) ?? null,
    put: write,
    remove: (name) => write(name, null),
    list () {
      forgetGone()
      return [...cells].toSorted(([a], [b]) => a < b ? -1 : 1).flatMap(([, cell]) => cell.current() ?? [])
    }
  }
}
