import { limitExceeded, noSuchEntity } from '../aws-error.ts'
import type { Operations } from '../call.ts'
import type { Tree } from '../http/tree.ts'
import { requestTagKeys, resourceTagKeys } from '../request-context.ts'
import { uniqueId } from '../state/identifiers.ts'
import type { ManagedPolicy, PolicyHolder } from '../state/records.ts'
import type { Account, World } from '../state/world.ts'
import { createProblems } from '../validation.ts'
import { storedPolicy } from './policy-text.ts'
import { countedCharacters, mergeTags, quotas, readPage, readTags, rules } from './rules.ts'
import type { IamParts } from './parts.ts'
import { alreadyExists, deleteConflict, tagList } from './subject.ts'
import { authorizeTags, type TaggedKind } from './tags.ts'

/** Managed policies as things with tags. */
export const taggedPolicies: TaggedKind<ManagedPolicy> = {
  word: 'Policy',
  read ({ params, caller: { account } }, problems) {
    const arn = problems.required(params, 'PolicyArn', rules.arn)
    return { name: arn, arn, record: findOwnPolicy(account, arn) }
  },
  require: ({ arn, record }) => record ?? missingPolicy(arn),
  save: (account, changed) => account.policies.put(changed.arn, changed),
  keys: (record) => record === null ? {} : resourceTagKeys('iam', record.tags)
}

/** CreatePolicy, GetPolicy, ListPolicies, DeletePolicy, ListEntitiesForPolicy. */
export function createManagedPolicyOperations ({ judge, random, world }: IamParts): Operations {
  return {
    CreatePolicy (call) {
      const { params, caller: { account }, nowMs } = call
      const problems = createProblems()
      const name = problems.required(params, 'PolicyName', rules.policyName)
      const path = problems.text(params, 'Path', rules.policyPath) ?? '/'
      const text = problems.required(params, 'PolicyDocument', rules.document)
      const description = problems.text(params, 'Description', rules.description)
      const tags = readTags(params, problems)
      problems.throwIfAny()
      const arn = `arn:aws:iam::${account.id}:policy${path}${name}`
      judge.authorize(call, 'iam:CreatePolicy', arn, requestTagKeys(tags))
      authorizeTags(judge, call, 'iam:TagPolicy', arn, tags)
      if (account.policies.list().some((policy) => policy.name.toLowerCase() === name.toLowerCase())) {
        throw alreadyExists(`A policy called ${name} already exists. Duplicate names are not allowed.`)
      }
      const policy: ManagedPolicy = {
        name,
        path,
        id: uniqueId('ANPA', random.bytes(17)),
        arn,
        description,
        createdAtMs: nowMs,
        updatedAtMs: nowMs,
        versions: [{ id: 'v1', createdAtMs: nowMs, ...sizedPolicy(text) }],
        defaultVersion: 'v1',
        versionsMade: 1,
        tags: mergeTags(new Map(), tags)
      }
      account.policies.put(arn, policy)
      return {
        result: { Policy: policyTree(policy, account) },
        notes: { responseElements: { policy: { policyName: name, arn, policyId: policy.id } } }
      }
    },

    GetPolicy (call) {
      const problems = createProblems()
      const arn = problems.required(call.params, 'PolicyArn', rules.arn)
      problems.throwIfAny()
      judge.authorize(call, 'iam:GetPolicy', arn)
      const { account } = call.caller
      const policy = readPolicy(world, account, arn)
      return {
        result: {
          Policy: {
            ...policyTree(policy, account),
            Description: policy.description ?? undefined,
            Tags: policy.tags.size === 0 ? undefined : tagList(policy.tags)
          }
        }
      }
    },

    ListPolicies (call) {
      const { params, caller: { account } } = call
      const problems = createProblems()
      const scope = problems.oneOf(params, 'Scope', ['All', 'AWS', 'Local']) ?? 'All'
      const prefix = problems.text(params, 'PathPrefix', rules.pathPrefix) ?? '/'
      const page = readPage(params, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:ListPolicies', `arn:aws:iam::${account.id}:policy${prefix}`)
      const onlyAttached = params.get('OnlyAttached') === 'true'
      const { items, fields } = page([
        ...scope === 'AWS' ? [] : account.policies.list(),
        ...scope === 'Local' ? [] : world.awsPolicies()
      ].filter((policy) => policy.path.startsWith(prefix) && (!onlyAttached || attachmentsOf(policy.arn, account) > 0)))
      return { result: { Policies: items.map((policy) => policyTree(policy, account)), ...fields } }
    },

    DeletePolicy (call) {
      const problems = createProblems()
      const arn = problems.required(call.params, 'PolicyArn', rules.arn)
      problems.throwIfAny()
      judge.authorize(call, 'iam:DeletePolicy', arn)
      const { account } = call.caller
      const policy = readOwnPolicy(account, arn)
      if (attachmentsOf(arn, account) + boundariesOf(arn, account) > 0) {
        throw deleteConflict('Cannot delete a policy attached to entities.')
      }
      if (policy.versions.length > 1) {
        throw deleteConflict('This policy has more than one version. Before you delete a policy, you must delete the policy\'s versions. The default version is deleted with the policy.')
      }
      account.policies.remove(arn)
      return { result: {} }
    },

    ListEntitiesForPolicy (call) {
      const problems = createProblems()
      const arn = problems.required(call.params, 'PolicyArn', rules.arn)
      const filter = problems.oneOf(call.params, 'EntityFilter', ['User', 'Role', 'Group', 'LocalManagedPolicy', 'AWSManagedPolicy'])
      const usage = problems.oneOf(call.params, 'PolicyUsageFilter', ['PermissionsPolicy', 'PermissionsBoundary'])
      problems.throwIfAny()
      judge.authorize(call, 'iam:ListEntitiesForPolicy', arn)
      const { account } = call.caller
      readPolicy(world, account, arn)
      const uses = (holder: PolicyHolder & { readonly boundary?: string | null }) =>
        (usage !== 'PermissionsBoundary' && holder.attached.includes(arn)) ||
        (usage !== 'PermissionsPolicy' && holder.boundary === arn)
      const wanted = (kind: string) => filter === null || filter === kind
      return {
        result: {
          PolicyGroups: wanted('Group') ? account.groups.list().filter(uses).map(({ name, id }) => ({ GroupName: name, GroupId: id })) : [],
          PolicyUsers: wanted('User') ? account.users.list().filter(uses).map(({ name, id }) => ({ UserName: name, UserId: id })) : [],
          PolicyRoles: wanted('Role') ? account.roles.list().filter(uses).map(({ name, id }) => ({ RoleName: name, RoleId: id })) : [],
          IsTruncated: false
        }
      }
    }
  }
}

/** @throws AwsError NoSuchEntity. */
export function readPolicy (world: World, account: Account, arn: string): ManagedPolicy {
  const owner = arn.split(':')[4]
  const policy = owner === 'aws' || owner === account.id ? world.findPolicy(arn) : null
  return policy ?? missingPolicy(arn)
}

/** A policy that can be changed: not AWS's. */
export function readOwnPolicy (account: Account, arn: string): ManagedPolicy {
  return findOwnPolicy(account, arn) ?? missingPolicy(arn)
}

function findOwnPolicy (account: Account, arn: string): ManagedPolicy | null {
  const policy = account.policies.find(arn)
  return policy?.arn === arn ? policy : null
}

function missingPolicy (arn: string): never {
  throw noSuchEntity(`Policy ${arn} was not found.`)
}

/** @throws PolicyError; AwsError LimitExceeded beyond 6,144 characters. */
export function sizedPolicy (text: string): ReturnType<typeof storedPolicy> {
  const policy = storedPolicy(text)
  if (countedCharacters(text) > quotas.managedPolicyCharacters) {
    throw limitExceeded(`Cannot exceed quota for PolicySize: ${quotas.managedPolicyCharacters}`)
  }
  return policy
}

function attachmentsOf (arn: string, { users, groups, roles }: Account): number {
  return [users, groups, roles].reduce((sum, holders) =>
    sum + holders.list().filter(({ attached }) => attached.includes(arn)).length, 0)
}

function boundariesOf (arn: string, { users, roles }: Account): number {
  return [users, roles].reduce((sum, holders) =>
    sum + holders.list().filter(({ boundary }) => boundary === arn).length, 0)
}

function policyTree (policy: ManagedPolicy, account: Account): Tree {
  return {
    PolicyName: policy.name,
    PolicyId: policy.id,
    Arn: policy.arn,
    Path: policy.path,
    DefaultVersionId: policy.defaultVersion,
    AttachmentCount: attachmentsOf(policy.arn, account),
    PermissionsBoundaryUsageCount: boundariesOf(policy.arn, account),
    IsAttachable: true,
    CreateDate: new Date(policy.createdAtMs),
    UpdateDate: new Date(policy.updatedAtMs)
  }
}
