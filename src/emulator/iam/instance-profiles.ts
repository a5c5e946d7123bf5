import { limitExceeded, noSuchEntity } from '../aws-error.ts'
import type { Call, Operations } from '../call.ts'
import type { Tree } from '../http/tree.ts'
import { requestTagKeys, resourceTagKeys } from '../request-context.ts'
import { uniqueId } from '../state/identifiers.ts'
import type { InstanceProfile } from '../state/records.ts'
import type { Account } from '../state/world.ts'
import { createProblems, type Problems } from '../validation.ts'
import { mergeTags, readPage, readTags, rules } from './rules.ts'
import type { IamParts } from './parts.ts'
import {
  alreadyExists, deleteConflict, existing, readSubject, roles, subjectKeys, tagList, type Subject
} from './subject.ts'
import { authorizeTags, type TaggedKind } from './tags.ts'

/** Instance profiles as things with tags. */
export const taggedProfiles: TaggedKind<InstanceProfile> = {
  word: 'InstanceProfile',
  read: readProfile,
  require: existingProfile,
  save: (account, changed) => account.instanceProfiles.put(changed.name, changed),
  keys: (record) => record === null ? {} : resourceTagKeys('iam', record.tags)
}

/** CreateInstanceProfile, GetInstanceProfile, AddRoleToInstanceProfile and what undoes them. */
export function createInstanceProfileOperations ({ judge, random }: IamParts): Operations {
  return {
    CreateInstanceProfile (call) {
      const { params, caller: { account } } = call
      const problems = createProblems()
      const name = problems.required(params, 'InstanceProfileName', rules.instanceProfileName)
      const path = problems.text(params, 'Path', rules.path) ?? '/'
      const tags = readTags(params, problems)
      problems.throwIfAny()
      const arn = `arn:aws:iam::${account.id}:instance-profile${path}${name}`
      judge.authorize(call, 'iam:CreateInstanceProfile', arn, requestTagKeys(tags))
      authorizeTags(judge, call, 'iam:TagInstanceProfile', arn, tags)
      if (account.instanceProfiles.find(name) !== null) throw alreadyExists(`Instance Profile ${name} already exists.`)
      const profile: InstanceProfile = {
        name,
        path,
        id: uniqueId('AIPA', random.bytes(17)),
        arn,
        createdAtMs: call.nowMs,
        role: null,
        tags: mergeTags(new Map(), tags)
      }
      account.instanceProfiles.put(name, profile)
      return { result: { InstanceProfile: fullTree(profile, account) } }
    },

    GetInstanceProfile (call) {
      const problems = createProblems()
      const subject = readProfile(call, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:GetInstanceProfile', subject.arn)
      return { result: { InstanceProfile: fullTree(existingProfile(subject), call.caller.account) } }
    },

    DeleteInstanceProfile (call) {
      const problems = createProblems()
      const subject = readProfile(call, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:DeleteInstanceProfile', subject.arn)
      const profile = existingProfile(subject)
      if (profile.role !== null) throw deleteConflict('Cannot delete entity, must remove roles from instance profile first.')
      call.caller.account.instanceProfiles.remove(profile.name)
      return { result: {} }
    },

    AddRoleToInstanceProfile (call) {
      const problems = createProblems()
      const subject = readProfile(call, problems)
      const roleSubject = readSubject(roles, call, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:AddRoleToInstanceProfile', subject.arn)
      judge.authorize(call, 'iam:PassRole', roleSubject.arn, { 'iam:PassedToService': ['ec2.amazonaws.com'] })
      const profile = existingProfile(subject)
      const role = existing(roles, roleSubject)
      if (profile.role !== null) throw limitExceeded('Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1')
      call.caller.account.instanceProfiles.put(profile.name, { ...profile, role: role.name })
      return { result: {} }
    },

    RemoveRoleFromInstanceProfile (call) {
      const problems = createProblems()
      const subject = readProfile(call, problems)
      const roleSubject = readSubject(roles, call, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:RemoveRoleFromInstanceProfile', subject.arn)
      const profile = existingProfile(subject)
      if (profile.role !== roleSubject.name) {
        throw noSuchEntity(`The role with name ${roleSubject.name} cannot be found.`)
      }
      call.caller.account.instanceProfiles.put(profile.name, { ...profile, role: null })
      return { result: {} }
    },

    ListInstanceProfiles (call) {
      const { params, caller: { account } } = call
      const problems = createProblems()
      const prefix = problems.text(params, 'PathPrefix', rules.pathPrefix) ?? '/'
      const page = readPage(params, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:ListInstanceProfiles', `arn:aws:iam::${account.id}:instance-profile${prefix}`)
      const { items, fields } = page(account.instanceProfiles.list().filter(({ path }) => path.startsWith(prefix)))
      return { result: { InstanceProfiles: items.map((profile) => profileTree(profile, account)), ...fields } }
    },

    ListInstanceProfilesForRole (call) {
      const problems = createProblems()
      const subject = readSubject(roles, call, problems)
      const page = readPage(call.params, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:ListInstanceProfilesForRole', subject.arn, subjectKeys(subject.record))
      const { account } = call.caller
      const role = existing(roles, subject)
      const { items, fields } = page(account.instanceProfiles.list().filter((profile) => profile.role === role.name))
      return { result: { InstanceProfiles: items.map((profile) => profileTree(profile, account)), ...fields } }
    }
  }
}

function readProfile ({ params, caller: { account } }: Call, problems: Problems): Subject<InstanceProfile> {
  const name = problems.required(params, 'InstanceProfileName', rules.instanceProfileName)
  const record = account.instanceProfiles.find(name)
  return { name, record, arn: record?.arn ?? `arn:aws:iam::${account.id}:instance-profile/${name}` }
}

/** @throws AwsError NoSuchEntity. */
function existingProfile ({ name, record }: Subject<InstanceProfile>): InstanceProfile {
  if (record === null) throw noSuchEntity(`Instance Profile ${name} cannot be found.`)
  return record
}

function fullTree (profile: InstanceProfile, account: Account): Tree {
  return {
    ...profileTree(profile, account), Tags: profile.tags.size === 0 ? undefined : tagList(profile.tags)
  }
}

function profileTree ({ name, path, id, arn, createdAtMs, role }: InstanceProfile, account: Account): Tree {
  const record = role === null ? null : account.roles.find(role)
  return {
    Path: path,
    InstanceProfileName: name,
    InstanceProfileId: id,
    Arn: arn,
    CreateDate: new Date(createdAtMs),
    Roles: record === null ? [] : [{
      Path: record.path,
      RoleName: record.name,
      RoleId: record.id,
      Arn: record.arn,
      CreateDate: new Date(record.createdAtMs)
    }]
  }
}
