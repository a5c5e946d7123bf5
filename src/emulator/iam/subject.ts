import { AwsError, invalid, noSuchEntity } from '../aws-error.ts'
import type { Call } from '../call.ts'
import type { Tree } from '../http/tree.ts'
import { resourceTagKeys, type ExtraKeys } from '../request-context.ts'
import type { Group, PolicyHolder, Role, Tags, User } from '../state/records.ts'
import type { Account, Collection } from '../state/world.ts'
import type { Problems } from '../validation.ts'
import { rules } from './rules.ts'

/** Users, groups and roles, where operations on them differ in words only. */
export interface HolderKind<T extends PolicyHolder> {
  readonly word: 'User' | 'Group' | 'Role'
  /** Inline policies of one together; characters without white space. */
  readonly inlineCharactersMax: number
  readonly attachedMax: number
  collection (account: Account): Collection<T>
}

export const users: HolderKind<User> = {
  word: 'User', inlineCharactersMax: 2048, attachedMax: 10, collection: ({ users }) => users
}
export const groups: HolderKind<Group> = {
  word: 'Group', inlineCharactersMax: 5120, attachedMax: 10, collection: ({ groups }) => groups
}
export const roles: HolderKind<Role> = {
  word: 'Role', inlineCharactersMax: 10_240, attachedMax: 20, collection: ({ roles }) => roles
}

/** A user, group or role as a request names it; it may not exist. */
export interface Subject<T> {
  readonly name: string
  readonly arn: string
  readonly record: T | null
}

const nameRules = { User: rules.existingUserName, Group: rules.groupName, Role: rules.roleName }

/** Reads `UserName`, `GroupName` or `RoleName`. */
export function readSubject<T extends PolicyHolder> (kind: HolderKind<T>, call: Call, problems: Problems): Subject<T> {
  return subjectOf(kind, call.caller.account, problems.required(call.params, `${kind.word}Name`, nameRules[kind.word]))
}

export function subjectOf<T extends PolicyHolder> (kind: HolderKind<T>, account: Account, name: string): Subject<T> {
  const found = kind.collection(account).find(name)
  const record = found?.name === name ? found : null
  return { name, record, arn: record?.arn ?? `arn:aws:iam::${account.id}:${kind.word.toLowerCase()}/${name}` }
}

/** The user that a request names, or else the caller. */
export function readUserOrCaller (call: Call, problems: Problems): Subject<User> {
  if (call.params.has('UserName')) return readSubject(users, call, problems)
  const { user, account } = call.caller
  if (user === null) throw invalid('Must specify userName when calling with non-User credentials')
  return subjectOf(users, account, user.name)
}

/** @throws AwsError NoSuchEntity in IAM's words. */
export function existing<T> ({ word }: { readonly word: string }, { name, record }: Subject<T>): T {
  if (record === null) throw noSuchEntity(`The ${word.toLowerCase()} with name ${name} cannot be found.`)
  return record
}

/** Condition keys of a user or role that is acted on: its tags and its boundary. */
export function subjectKeys (
  record: PolicyHolder & { readonly tags?: Tags, readonly boundary?: string | null } | null
): ExtraKeys {
  if (record === null) return {}
  return {
    ...record.tags === undefined ? {} : resourceTagKeys('iam', record.tags),
    'iam:PermissionsBoundary': record.boundary === undefined || record.boundary === null ? [] : [record.boundary]
  }
}

export function alreadyExists (message: string): AwsError {
  return new AwsError(409, 'EntityAlreadyExists', message)
}

export function deleteConflict (message: string): AwsError {
  return new AwsError(409, 'DeleteConflict', message)
}

export function tagList (tags: Tags): readonly Tree[] {
  return [...tags].map(([Key, Value]) => ({ Key, Value }))
}

export function boundaryTree (boundary: string | null): Tree | undefined {
  return boundary === null ? undefined : { PermissionsBoundaryType: 'Policy', PermissionsBoundaryArn: boundary }
}

export function userTree ({ path, name, id, arn, createdAtMs }: User): Tree {
  return { Path: path, UserName: name, UserId: id, Arn: arn, CreateDate: new Date(createdAtMs) }
}

export function groupTree ({ path, name, id, arn, createdAtMs }: Group): Tree {
  return { Path: path, GroupName: name, GroupId: id, Arn: arn, CreateDate: new Date(createdAtMs) }
}
