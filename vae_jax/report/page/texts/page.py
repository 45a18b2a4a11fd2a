"""Every text of the report but those of its explorer and its story, in each language; {names} are filled in.

A text with a count comes in two forms, `..._one` and `..._many`.
"""

PAGE: dict[str, dict[str, str]] = {
    "en": {
        # The launch.
        "launched": "{counts} on {data}\N{NO-BREAK SPACE}· last launch took {time}\N{NO-BREAK SPACE}· {device}",
        "runs_one": "{n} run",
        "runs_many": "{n} runs",
        "evaluated": "{n} evaluated",
        "diverged": "{n} diverged",
        "failed": "{n} failed",
        "seconds": "{seconds} s",
        "minutes": "{minutes} min {seconds} s",
        "hours": "{hours} h {minutes} min",
        "yes": "yes",
        "no": "no",
        # Verdicts.
        "verdicts": "Verdicts",
        "tally": "{n} {verdict}",
        "how_link": "How a verdict is reached",
        "verdict_supported": "supported",
        "verdict_contradicted": "contradicted",
        "verdict_level": "level",
        "verdict_not_resolved": "not resolved",
        "verdict_not_judged": "not judged",
        "title_comparison": "{models} compared with {baseline}",
        "column_claim": "claim and its measurement",
        "column_setting": "setting",
        "column_verdict": "verdict",
        "column_p": "(Holm's)",
        "interval": "[95 % interval]",
        "given": "by construction: nothing to test",
        "margin": "matters from {margin}",
        "seeds_one": "{n} seed",
        "seeds_many": "{n} seeds",
        "seeds_of_two": "{model} and {baseline} seeds",
        "others": "All other numbers of {model} and {baseline}: described, not judged",
        "column_better": "probability that {model} is better",
        # Notes below tables.
        "spread_seeds": "Mean ± standard deviation over seeds.",
        "spread_seeds_and": "Mean ± standard deviation over seeds (± standard error over {over}).",
        "spread_one_seed_and": "One seed (± standard error over {over}).",
        "note_one_seed": "With one seed there is no interval, and nothing is resolved.",
        "note_corrected": "The p-values of a family are corrected for its {n} rows; the intervals are not.",
        "note_whitened": "Standard deviations of a latent space are those of its codes, after whitening.",
        "note_distances": "Fréchet distances are comparable only in the features of the same network.",
        "note_floor": "Training images are themselves {floor} from the test images: expect no less of samples.",
        "note_floor_of": "Training images are themselves {floor} from the test images ({dataset}): expect no less of"
        " samples.",
        # How a verdict is reached.
        "method": "How a verdict is reached",
        "method_seeds": "Each seed gives one number a model, and Welch's t-test says whether other seeds would"
        " agree. Two models of one seed are not more alike than two of different seeds, so nothing is paired. It"
        " does not ask whether other test images would agree.",
        "method_rows": "Each claim has one number, fixed in advance. All claims about two models, at all latent"
        " dimensions, are a family; their p-values are Holm's, so that any of them is called supported or"
        " contradicted by chance in at most 5 % of families. A row is {supported} if p is at most 0.05 and the"
        " difference lies on the side the claim says, and {contradicted} if it lies on the other side.",
        "method_level": "A row is {level} if the 90 % interval lies within ± the smallest difference that matters"
        " (two one-sided tests, Lakens 2017), even if p is small. It is {not_judged} if one of its models does not"
        " reconstruct: it gains less than half of the nats that the best model gains over the mean training image.",
        "method_rest": "All else is {not_resolved}. The number of seeds is that at which a test would succeed with a"
        " probability of 0.8, if the truth is what these seeds say and the correction stays where it is.",
        # Results.
        "results": "Results",
        "results_table": "Table of results",
        "seeds": "seeds",
        "nothing_evaluated": "No run is evaluated yet.",
        "note_nats": "Nats are summed over the pixels and the latent dimensions of an image, and averaged over"
        " images. The ELBO is -(distortion + rate) whatever the KL weight was in training.",
        "note_failed": "A failed run has no numbers; a row shows those of its other seeds.",
        "note_diverged": "A row with a diverged run has no mean, because the other seeds cannot stand for it.",
        "note_best": "Bold: the best mean among the rows whose images, binarization and likelihood are the same,"
        " which is not a test of the difference.",
        "note_not_a_likelihood": "The Bernoulli cross-entropy of grey pixels is a loss and not a likelihood: what"
        " would be a log-likelihood is named test_not_a_likelihood_…",
        "note_dash": "A dash stands for a setting or number that a model does not have, or that is not finite.",
        "note_csv": "Every number of every run is in {file}.",
        "run_failed": "{run} failed: {reason}",
        "run_diverged": "{run} diverged in epoch {epoch}",
        "glossary": "What the numbers mean",
        # Figures.
        "figures": "Figures",
        "file_label": "{title} as {kind}",
        "picture_left_out": "Left out, since the page holds {size} at most; the picture is in the files above.",
        "explorer_left_out": "The explorer is left out: no network of these runs fits into a page of {size}.",
        # Runs.
        "runs": "Runs",
        "diverged_mark": "diverged",
        # Provenance.
        "provenance": "Provenance",
        "fact_data": "Data set",
        "fact_source": "Source",
        "fact_digest": "SHA-256 of the pixels",
        "fact_versions": "Versions",
        "fact_commit": "Commit",
        "fact_device": "Device",
        "fact_machine": "Machine",
        "fact_started": "Launched",
        "fact_time": "Wall time",
        "source": "{source}, version {version}",
        "splits": "{counts} images",
        "count_of_split": "{n} {split}",
        "split_train": "train",
        "split_validation": "validation",
        "split_test": "test",
        "commit_with_changes": "{commit} with changes",
    },
    "ko": {
        "launched": "{data}\N{NO-BREAK SPACE}· {counts}\N{NO-BREAK SPACE}· 마지막 실행 {time}\N{NO-BREAK SPACE}·"
        " {device}",
        "runs_one": "학습 결과 {n}개",
        "runs_many": "학습 결과 {n}개",
        "evaluated": "평가 {n}개",
        "diverged": "발산 {n}개",
        "failed": "실패 {n}개",
        "seconds": "{seconds}초",
        "minutes": "{minutes}분 {seconds}초",
        "hours": "{hours}시간 {minutes}분",
        "yes": "예",
        "no": "아니요",
        "verdicts": "판정",
        "tally": "{verdict} {n}건",
        "how_link": "판정 방법",
        "verdict_supported": "뒷받침됨",
        "verdict_contradicted": "반박됨",
        "verdict_level": "대등함",
        "verdict_not_resolved": "판정 유보",
        "verdict_not_judged": "판정 제외",
        "title_comparison": "{baseline} 대비 {models}",
        "column_claim": "주장과 그 측정값",
        "column_setting": "설정",
        "column_verdict": "판정",
        "column_p": "(홀름 보정)",
        "interval": "[95 % 구간]",
        "given": "정의에 따라 참이므로 검정하지 않습니다",
        "margin": "{margin}부터 의미 있는 차이",
        "seeds_one": "시드 {n}개",
        "seeds_many": "시드 {n}개",
        "seeds_of_two": "시드 {model}개와 {baseline}개",
        "others": "{model}와 {baseline}의 그 밖의 모든 수치: 서술만 하고 판정하지 않음",
        "column_better": "{model}가 더 나을 확률",
        "spread_seeds": "시드에 대한 평균 ± 표준편차입니다.",
        "spread_seeds_and": "시드에 대한 평균 ± 표준편차이며, 괄호 안은 {over}에 대한 표준오차입니다.",
        "spread_one_seed_and": "시드는 하나이며, 괄호 안은 {over}에 대한 표준오차입니다.",
        "note_one_seed": "시드가 하나뿐이면 구간이 없으므로 아무것도 판정하지 않습니다.",
        "note_corrected": "p값은 한 묶음의 {n}개 행에 대해 보정했으며, 구간은 보정하지 않았습니다.",
        "note_whitened": "잠재 공간의 표준편차는 백색화한 코드의 표준편차입니다.",
        "note_distances": "프레셰 거리는 같은 신경망의 특징에서 잰 것끼리만 비교할 수 있습니다.",
        "note_floor": "훈련 이미지도 테스트 이미지에서 {floor}만큼 떨어져 있으므로, 표본의 거리가 이보다 작기를"
        " 기대할 수 없습니다.",
        "note_floor_of": "훈련 이미지도 테스트 이미지에서 {floor}만큼 떨어져 있으므로({dataset}), 표본의 거리가"
        " 이보다 작기를 기대할 수 없습니다.",
        "method": "판정 방법",
        "method_seeds": "시드마다 모델별로 수치가 하나씩 나오고, 다른 시드에서도 그럴지는 웰치 t 검정이 말해 줍니다."
        " 시드가 같은 두 모델이라고 더 비슷하지는 않으므로 짝을 짓지 않습니다. 다른 테스트 이미지에서도 그럴지는"
        " 묻지 않습니다.",
        "method_rows": "주장마다 수치 하나를 미리 정해 두었습니다. 두 모델에 관한 모든 주장은 모든 잠재 차원에 걸쳐"
        " 한 묶음이며, p값은 홀름 방법으로 보정합니다. 그래서 우연히 뒷받침되거나 반박되는 행이 있는 묶음은 많아야 5"
        " %입니다. p가 0.05 이하이고 차이가 주장하는 쪽에 있으면 {supported}, 반대쪽에 있으면 {contradicted}입니다.",
        "method_level": "90 % 구간이 ± 의미 있는 최소 차이 안에 들면 p가 작더라도 {level}입니다(두 단측 검정, Lakens"
        " 2017). 재구성하지 못하는 모델이 있으면, 곧 평균 훈련 이미지보다 얻는 nat가 가장 좋은 모델의 절반에 못"
        " 미치면 {not_judged}입니다.",
        "method_rest": "나머지는 모두 {not_resolved}입니다. 함께 적은 시드의 수는, 이 시드들이 보여 주는 값이 참이고"
        " 보정이 그대로일 때 검정이 0.8의 확률로 성공하는 데 필요한 수입니다.",
        "results": "결과",
        "results_table": "결과 표",
        "seeds": "시드",
        "nothing_evaluated": "아직 평가된 학습 결과가 없습니다.",
        "note_nats": "nat 값은 이미지의 픽셀과 잠재 차원에 대해 더하고 이미지에 대해 평균한 것입니다. ELBO는 학습할"
        " 때의 KL 가중치와 관계없이 -(왜곡 + 레이트)입니다.",
        "note_failed": "실패한 학습에는 수치가 없으며, 행에는 나머지 시드의 수치가 나옵니다.",
        "note_diverged": "발산한 학습이 있는 행에는 평균이 없습니다. 나머지 시드가 그것을 대신할 수 없기 때문입니다.",
        "note_best": "굵은 글씨는 이미지, 이진화, 가능도가 같은 행 가운데 가장 좋은 평균이며, 차이를 검정한 결과는"
        " 아닙니다.",
        "note_not_a_likelihood": "회색 픽셀의 베르누이 교차 엔트로피는 손실이며 가능도가 아닙니다. 그래서 로그"
        " 가능도에 해당하는 값의 이름은 test_not_a_likelihood_…입니다.",
        "note_dash": "줄표는 모델에 없거나 유한하지 않은 설정이나 수치를 나타냅니다.",
        "note_csv": "모든 학습 결과의 모든 수치는 {file}에 있습니다.",
        "run_failed": "{run} 실패: {reason}",
        "run_diverged": "{run} 에포크 {epoch}에서 발산",
        "glossary": "수치의 의미",
        "figures": "그림",
        "file_label": "{title}, {kind} 파일",
        "picture_left_out": "페이지의 크기를 {size}로 제한하므로 이 그림은 넣지 않았습니다. 위의 파일에 있습니다.",
        "explorer_left_out": "탐색기는 넣지 않았습니다. {size}짜리 페이지에 담기는 신경망이 없습니다.",
        "runs": "학습 결과",
        "diverged_mark": "발산",
        "provenance": "출처와 환경",
        "fact_data": "데이터",
        "fact_source": "출처",
        "fact_digest": "픽셀의 SHA-256",
        "fact_versions": "버전",
        "fact_commit": "커밋",
        "fact_device": "장치",
        "fact_machine": "컴퓨터",
        "fact_started": "실행 시각",
        "fact_time": "소요 시간",
        "source": "{source}, 버전 {version}",
        "splits": "{counts}",
        "count_of_split": "{split} {n}장",
        "split_train": "훈련",
        "split_validation": "검증",
        "split_test": "테스트",
        "commit_with_changes": "{commit}, 수정 있음",
    },
}
