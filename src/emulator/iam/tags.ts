import type { Operations } from '../call.ts'
import { readTexts } from '../http/params.ts'
import { requestTagKeys } from '../request-context.ts'
import type { Role, User } from '../state/records.ts'
import { createProblems } from '../validation.ts'
import { mergeTags, readPage, readTags } from './rules.ts'
import type { IamParts } from './parts.ts'
import { existing, readSubject, subjectKeys, tagList, type HolderKind } from './subject.ts'

/** `TagRole`, `UntagRole`, `ListRoleTags`, and the same for users. */
export function createTagOperations<T extends User | Role> (kind: HolderKind<T>, { judge }: IamParts): Operations {
  const { word } = kind
  return {
    [`Tag${word}`]: (call) => {
      const problems = createProblems()
      const subject = readSubject(kind, call, problems)
      const tags = readTags(call.params, problems)
      problems.throwIfAny()
      judge.authorize(call, `iam:Tag${word}`, subject.arn, { ...subjectKeys(subject.record), ...requestTagKeys(tags) })
      const holder = existing(kind, subject)
      kind.collection(call.caller.account).put(holder.name, { ...holder, tags: mergeTags(holder.tags, tags) })
      return { result: {} }
    },

    [`Untag${word}`]: (call) => {
      const problems = createProblems()
      const subject = readSubject(kind, call, problems)
      problems.throwIfAny()
      const keys = readTexts(call.params, 'TagKeys.member')
      judge.authorize(call, `iam:Untag${word}`, subject.arn, { ...subjectKeys(subject.record), 'aws:TagKeys': keys })
      const holder = existing(kind, subject)
      const gone = new Set(keys.map((key) => key.toLowerCase()))
      const tags = new Map([...holder.tags].filter(([key]) => !gone.has(key.toLowerCase())))
      kind.collection(call.caller.account).put(holder.name, { ...holder, tags })
      return { result: {} }
    },

    [`List${word}Tags`]: (call) => {
      const problems = createProblems()
      const subject = readSubject(kind, call, problems)
      const page = readPage(call.params, problems)
      problems.throwIfAny()
      judge.authorize(call, `iam:List${word}Tags`, subject.arn, subjectKeys(subject.record))
      const { items, fields } = page(tagList(existing(kind, subject).tags))
      return { result: { Tags: items, ...fields } }
    }
  }
}
