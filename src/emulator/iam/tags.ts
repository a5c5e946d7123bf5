import type { Call, Operations } from '../call.ts'
import { readTexts } from '../http/params.ts'
import type { Judge } from '../judge.ts'
import { requestTagKeys, type ExtraKeys } from '../request-context.ts'
import type { Role, Tags, User } from '../state/records.ts'
import type { Account } from '../state/world.ts'
import { createProblems, type Problems } from '../validation.ts'
import { mergeTags, readPage, readTags, type TagPairs } from './rules.ts'
import type { IamParts } from './parts.ts'
import { existing, readSubject, subjectKeys, tagList, type HolderKind, type Subject } from './subject.ts'

/** What can have tags, where the operations on them differ in words only. */
export interface TaggedKind<T extends { readonly tags: Tags }> {
  /** As in the names of operations: `TagRole`. */
  readonly word: string
  read (call: Call, problems: Problems): Subject<T>
  /** @throws AwsError NoSuchEntity. */
  require (subject: Subject<T>): T
  save (account: Account, changed: T): void
  /** Condition keys of the thing itself. */
  keys (record: T | null): ExtraKeys
}

/** Users or roles as things with tags. */
export function taggedHolders<T extends User | Role> (kind: HolderKind<T>): TaggedKind<T> {
  return {
    word: kind.word,
    read: (call, problems) => readSubject(kind, call, problems),
    require: (subject) => existing(kind, subject),
    save: (account, changed) => kind.collection(account).put(changed.name, changed),
    keys: subjectKeys
  }
}

/** `TagRole`, `UntagRole`, `ListRoleTags` and their siblings. */
export function createTagOperations<T extends { readonly tags: Tags }> (
  kind: TaggedKind<T>, { judge }: IamParts
): Operations {
  const { word } = kind
  return {
    [`Tag${word}`]: (call) => {
      const problems = createProblems()
      const subject = kind.read(call, problems)
      const tags = readTags(call.params, problems)
      problems.throwIfAny()
      judge.authorize(call, `iam:Tag${word}`, subject.arn, { ...kind.keys(subject.record), ...requestTagKeys(tags) })
      const record = kind.require(subject)
      kind.save(call.caller.account, { ...record, tags: mergeTags(record.tags, tags) })
      return { result: {} }
    },

    [`Untag${word}`]: (call) => {
      const problems = createProblems()
      const subject = kind.read(call, problems)
      problems.throwIfAny()
      const keys = readTexts(call.params, 'TagKeys.member')
      judge.authorize(call, `iam:Untag${word}`, subject.arn, { ...kind.keys(subject.record), 'aws:TagKeys': keys })
      const record = kind.require(subject)
      const gone = new Set(keys.map((key) => key.toLowerCase()))
      const tags = new Map([...record.tags].filter(([key]) => !gone.has(key.toLowerCase())))
      kind.save(call.caller.account, { ...record, tags })
      return { result: {} }
    },

    [`List${word}Tags`]: (call) => {
      const problems = createProblems()
      const subject = kind.read(call, problems)
      const page = readPage(call.params, problems)
      problems.throwIfAny()
      judge.authorize(call, `iam:List${word}Tags`, subject.arn, kind.keys(subject.record))
      const { items, fields } = page(tagList(kind.require(subject).tags))
      return { result: { Tags: items, ...fields } }
    }
  }
}

/**
 * The right to tag what is being made, which tags in a Create call need beside the right to make
 * it ("Tagging IAM resources", IAM User Guide).
 *
 * @throws AwsError AccessDenied.
 */
export function authorizeTags (judge: Judge, call: Call, action: string, arn: string, tags: TagPairs): void {
  if (tags.length > 0) judge.authorize(call, action, arn, requestTagKeys(tags))
}
