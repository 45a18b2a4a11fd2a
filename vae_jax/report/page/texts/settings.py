"""Every text of the page's choice of a setting, in each language."""

SETTINGS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Which setting?",
        "grid": "{runs} runs: {fields}",
        "model": "model",
        "criterion": "best by",
        "setting": "best setting",
        "next": "next best, and the difference to it",
        "outcome": "is it certain?",
        "validation_elbo": "validation ELBO (highest)",
        "prior_frechet": "Fréchet distance of N(0, I) samples (lowest)",
        "validation_distortion": "validation distortion (lowest)",
        "test_active_units": "active units (most)",
        "resolved": "yes: p {p}",
        "tied": "{tied} of {settings} settings are equal",
        "not resolved": "not resolved by {seeds} seeds: p {p}",
        "one seed": "one seed: not resolved",
        "note": "The best of all settings of a model, and how far it is ahead of the next best, with the 95 % interval"
        " over seeds; p is that of a t-test between the two. The test ELBO chooses nothing: it judges what was chosen.",
    },
    "ko": {
        "title": "어떤 설정이 좋을까요?",
        "grid": "실행 {runs}개: {fields}",
        "model": "모델",
        "criterion": "기준",
        "setting": "가장 좋은 설정",
        "next": "그다음 설정과 그 차이",
        "outcome": "확실한가요?",
        "validation_elbo": "검증 ELBO(높을수록 좋음)",
        "prior_frechet": "N(0, I) 표본의 프레셰 거리(낮을수록 좋음)",
        "validation_distortion": "검증 왜곡(낮을수록 좋음)",
        "test_active_units": "활성 차원 수(많을수록 좋음)",
        "resolved": "예: p {p}",
        "tied": "설정 {settings}개 중 {tied}개가 같음",
        "not resolved": "시드 {seeds}개로는 판가름할 수 없음: p {p}",
        "one seed": "시드 하나로는 판가름할 수 없음",
        "note": "모델마다 모든 설정 가운데 가장 좋은 설정과, 그다음 설정과의 차이입니다. 대괄호는 시드에 대한 95 %"
        " 신뢰구간이고, p는 두 설정을 비교한 t-검정의 값입니다. 테스트 ELBO는 설정을 고르는 데 쓰지 않고, 고른 뒤에"
        " 평가하는 데만 씁니다.",
    },
}
