import { limitExceeded, noSuchEntity } from '../aws-error.ts'
import type { Operations } from '../call.ts'
import { requestTagKeys } from '../request-context.ts'
import { accessKeyId, uniqueId } from '../state/identifiers.ts'
import type { AccessKey, User } from '../state/records.ts'
import { createProblems } from '../validation.ts'
import { requirePolicy } from './policy-text.ts'
import { mergeTags, quotas, readPage, readTags, rules } from './rules.ts'
import type { IamParts } from './parts.ts'
import {
  alreadyExists, boundaryTree, deleteConflict, existing, readSubject, readUserOrCaller, subjectKeys, subjectOf,
  tagList, users, userTree
} from './subject.ts'
import { authorizeTags } from './tags.ts'

/** CreateUser, GetUser, ListUsers, DeleteUser. */
export function createUserOperations ({ judge, random, world }: IamParts): Operations {
  return {
    CreateUser (call) {
      const { params, caller: { account } } = call
      const problems = createProblems()
      const name = problems.required(params, 'UserName', rules.userName)
      const path = problems.text(params, 'Path', rules.path) ?? '/'
      const boundary = problems.text(params, 'PermissionsBoundary', rules.arn)
      const tags = readTags(params, problems)
      problems.throwIfAny()
      const arn = `arn:aws:iam::${account.id}:user${path}${name}`
      judge.authorize(call, 'iam:CreateUser', arn, {
        ...requestTagKeys(tags), 'iam:PermissionsBoundary': boundary === null ? [] : [boundary]
      })
      authorizeTags(judge, call, 'iam:TagUser', arn, tags)
      if (account.users.find(name) !== null) throw alreadyExists(`User with name ${name} already exists.`)
      if (boundary !== null) requirePolicy(world, account, boundary)
      const user: User = {
        kind: 'user',
        name,
        path,
        id: uniqueId('AIDA', random.bytes(17)),
        arn,
        createdAtMs: call.nowMs,
        inline: new Map(),
        attached: [],
        accessKeys: [],
        groups: [],
        boundary,
        tags: mergeTags(new Map(), tags),
        mfaDevices: []
      }
      account.users.put(name, user)
      return { result: { User: fullTree(user) }, notes: { responseElements: { user: { userName: name, arn } } } }
    },

    GetUser (call) {
      const problems = createProblems()
      const subject = readUserOrCaller(call, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:GetUser', subject.arn, subjectKeys(subject.record))
      return { result: { User: fullTree(existing(users, subject)) } }
    },

    ListUsers (call) {
      const { params, caller: { account } } = call
      const problems = createProblems()
      const prefix = problems.text(params, 'PathPrefix', rules.pathPrefix) ?? '/'
      const page = readPage(params, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:ListUsers', `arn:aws:iam::${account.id}:user${prefix}`)
      const { items, fields } = page(account.users.list().filter(({ path }) => path.startsWith(prefix)))
      return { result: { Users: items.map(userTree), ...fields } }
    },

    DeleteUser (call) {
      const problems = createProblems()
      const subject = readSubject(users, call, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:DeleteUser', subject.arn, subjectKeys(subject.record))
      const user = existing(users, subject)
      if (user.accessKeys.length > 0) throw deleteConflict('Cannot delete entity, must delete access keys first.')
      if (user.attached.length > 0) throw deleteConflict('Cannot delete entity, must detach all policies first.')
      if (user.inline.size > 0) throw deleteConflict('Cannot delete entity, must delete policies first.')
      if (user.groups.length > 0) throw deleteConflict('Cannot delete entity, must remove users from group first.')
      call.caller.account.users.remove(user.name)
      return { result: {} }
    }
  }
}

function fullTree (user: User) {
  return {
    ...userTree(user),
    PermissionsBoundary: boundaryTree(user.boundary),
    Tags: user.tags.size === 0 ? undefined : tagList(user.tags)
  }
}

/** CreateAccessKey, DeleteAccessKey, UpdateAccessKey, ListAccessKeys, GetAccessKeyLastUsed. */
export function createAccessKeyOperations ({ judge, random, vault, world }: IamParts): Operations {
  const findKey = (user: User, id: string): AccessKey => {
    const key = user.accessKeys.find((one) => one.id === id)
    if (key === undefined) throw noSuchEntity(`The Access Key with id ${id} cannot be found.`)
    return key
  }

  return {
    CreateAccessKey (call) {
      const { caller: { account }, nowMs } = call
      const problems = createProblems()
      const subject = readUserOrCaller(call, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:CreateAccessKey', subject.arn, subjectKeys(subject.record))
      const user = existing(users, subject)
      if (user.accessKeys.length >= quotas.accessKeysPerUser) {
        throw limitExceeded(`Cannot exceed quota for AccessKeysPerUser: ${quotas.accessKeysPerUser}`)
      }
      const id = accessKeyId('AKIA', account.id, random.bytes(8))
      const key = { id, secret: vault.secretAccessKey(id), active: true, createdAtMs: nowMs }
      account.users.put(user.name, { ...user, accessKeys: [...user.accessKeys, key] })
      world.registerKey(id, { account, userName: user.name })
      return {
        result: { AccessKey: { ...keyTree(user, key), SecretAccessKey: key.secret } },
        notes: { responseElements: { accessKey: { userName: user.name, accessKeyId: id, status: 'Active' } } }
      }
    },

    DeleteAccessKey (call) {
      const problems = createProblems()
      const id = problems.required(call.params, 'AccessKeyId', rules.accessKeyId)
      const subject = readUserOrCaller(call, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:DeleteAccessKey', subject.arn, subjectKeys(subject.record))
      const user = existing(users, subject)
      const key = findKey(user, id)
      call.caller.account.users.put(user.name, { ...user, accessKeys: user.accessKeys.filter((one) => one !== key) })
      return { result: {} }
    },

    UpdateAccessKey (call) {
      const problems = createProblems()
      const id = problems.required(call.params, 'AccessKeyId', rules.accessKeyId)
      const status = problems.oneOf(call.params, 'Status', ['Active', 'Inactive'])
      if (status === null) problems.add(null, 'status', 'Member must not be null')
      const subject = readUserOrCaller(call, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:UpdateAccessKey', subject.arn, subjectKeys(subject.record))
      const user = existing(users, subject)
      const key = findKey(user, id)
      call.caller.account.users.put(user.name, {
        ...user,
        accessKeys: user.accessKeys.map((one) => one === key ? { ...one, active: status === 'Active' } : one)
      })
      return { result: {} }
    },

    ListAccessKeys (call) {
      const problems = createProblems()
      const subject = readUserOrCaller(call, problems)
      const page = readPage(call.params, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:ListAccessKeys', subject.arn, subjectKeys(subject.record))
      const user = existing(users, subject)
      const { items, fields } = page(user.accessKeys)
      return { result: { AccessKeyMetadata: items.map((key) => keyTree(user, key)), ...fields } }
    },

    GetAccessKeyLastUsed (call) {
      const problems = createProblems()
      const id = problems.required(call.params, 'AccessKeyId', rules.accessKeyId)
      problems.throwIfAny()
      const { account } = call.caller
      const owner = world.findKeyOwner(id)
      const name = owner?.account === account ? owner.userName : null
      const subject = subjectOf(users, account, name ?? '*')
      judge.authorize(call, 'iam:GetAccessKeyLastUsed', subject.arn)
      if (name === null) throw noSuchEntity(`The Access Key with id ${id} cannot be found.`)
      return { result: { UserName: name, AccessKeyLastUsed: { Region: 'N/A', ServiceName: 'N/A' } } }
    }
  }
}

function keyTree ({ name }: User, { id, active, createdAtMs }: AccessKey) {
  return {
    UserName: name, AccessKeyId: id, Status: active ? 'Active' : 'Inactive', CreateDate: new Date(createdAtMs)
  }
}
