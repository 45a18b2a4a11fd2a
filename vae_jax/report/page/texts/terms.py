"""What other rooms say in English, in the page's other languages: by its name where it has one, or by the English text.

English itself is in `claims`, `measurements`, `verdicts` and `figures`.
"""

QUESTIONS: dict[str, dict[str, str]] = {
    "ko": {
        "What does turning an autoencoder into a variational autoencoder do to its latent space, "
        "and what does it cost?": (
            "오토인코더를 변분 오토인코더로 바꾸면 잠재 공간은 어떻게 달라지고, 그 대가는 무엇일까요?"
        ),
        "How fast does a VAE of dense layers reach the losses of the examples of PyTorch and Keras?": (
            "밀집 층으로 된 VAE는 PyTorch와 Keras 예제의 손실에 얼마나 빨리 도달할까요?"
        ),
        "Which ingredient of a variational autoencoder does what: the pull to 0, the noise, or that "
        "the noise is learned?": (
            "0으로 당기는 힘, 잡음, 잡음의 학습 가운데 변분 오토인코더의 어떤 성질이 어디에서 올까요?"
        ),
        "What does a VAE gain and lose as its KL term weighs more?": (
            "KL 항의 가중치가 커지면 VAE는 무엇을 얻고 무엇을 잃을까요?"
        ),
        "How many latent dimensions are enough, for an autoencoder and for a variational autoencoder?": (
            "오토인코더와 변분 오토인코더에는 잠재 차원이 몇 개면 충분할까요?"
        ),
        "Which recipe has the lowest validation loss for its time?": (
            "같은 시간에 검증 손실이 가장 낮아지는 학습 설정은 무엇일까요?"
        ),
        "What does this one model do?": "이 모델 하나는 무엇을 할까요?",
    }
}
"""The questions of our own experiments; those of users stay as they are."""

SENTENCES: dict[str, dict[str, str]] = {
    "ko": {
        "The {baseline} maps an image to a point, the {model} to a distribution around it": (
            "{baseline}는 이미지를 한 점으로, {model}는 그 둘레의 분포로 옮깁니다"
        ),
        "The noise around a code has one size in the {baseline}, and a size for each image in the {model}": (
            "코드를 둘러싼 잡음의 크기는 {baseline}에서는 하나로 정해져 있고, {model}에서는 이미지마다 다릅니다"
        ),
        "N(0, I) can be sampled without looking at the codes of the {model}, less so at those of the {baseline}": (
            "{model}에서는 코드를 보지 않고 N(0, I)에서 뽑아도 되며, {baseline}에서는 덜 그렇습니다"
        ),
        "With mean and covariance of its codes known, the {model} samples better than the {baseline}": (
            "코드의 평균과 공분산을 알면 {model}의 표본이 {baseline}의 표본보다 좋습니다"
        ),
        "There are fewer holes between the codes of the {model} than between those of the {baseline}": (
            "{model}의 코드 사이에는 {baseline}보다 빈 곳이 적습니다"
        ),
        "A small step between codes changes the image of the {model} less than that of the {baseline}": (
            "코드를 조금 옮길 때 {model}의 이미지는 {baseline}의 이미지보다 적게 변합니다"
        ),
        "Points between codes are plausible images in the {model}, less so in the {baseline}": (
            "코드와 코드 사이의 점은 {model}에서 그럴듯한 이미지이며, {baseline}에서는 덜 그렇습니다"
        ),
        "Similar images cluster in the codes of the {model}, more than in those of the {baseline}": (
            "비슷한 이미지는 {baseline}보다 {model}의 코드에서 더 모입니다"
        ),
        "The price: the {model} reconstructs worse than the {baseline}": (
            "대가: {model}에서는 {baseline}보다 재구성이 나빠집니다"
        ),
    }
}
"""The sentences of claims, with `{model}` and `{baseline}`; a Korean particle is one that fits titles and "모델"."""

_KO_SAMPLES = {
    "prior": "N(0, I) 표본",
    "gaussian": "코드에 맞춘 가우시안 표본",
    "mixture": "코드에 맞춘 혼합 분포 표본",
    "aggregate": "훈련 코드의 디코딩",
}

LABELS: dict[str, dict[str, str]] = {
    "ko": {
        "test_elbo": "테스트 ELBO",
        "test_active_units": "활성 차원 수",
        "test_distortion": "테스트 왜곡",
        "test_noise_cost": "잡음의 대가",
        "test_rate": "테스트 레이트",
        "test_mse": "제곱 오차",
        "train_seconds": "학습 시간",
        "kl_prior_knn": "전체 코드와 N(0, I)의 쿨백-라이블러 발산 (크기 포함)",
        "negentropy": "전체 코드와 그 가우시안의 쿨백-라이블러 발산",
        "knn_accuracy_whitened": "백색화한 최근접 코드 10개의 정확도",
        "cycle_error": "순환 오차",
        "step_0_1_change": "0.1 표준편차 이동에 따른 디코딩 변화",
        "step_0_3_change": "0.3 표준편차 이동에 따른 디코딩 변화",
        "step_1_0_change": "1.0 표준편차 이동에 따른 디코딩 변화",
        "midpoint_implausible_excess": "그럴듯하지 않은 중간점의 초과 비율",
        "gaussian_hole_mass": "빈 곳에 놓인 가우시안 표본",
        "prior_gap": "코드를 모를 때의 프레셰 거리 차이",
        "standardized_gap": "표준화한 코드에서의 프레셰 거리 차이",
        **{f"{name}_frechet": f"{samples}의 프레셰 거리" for name, samples in _KO_SAMPLES.items()},
        **{f"{name}_coverage": f"{samples}의 포괄률" for name, samples in _KO_SAMPLES.items()},
    }
}
"""The labels of the measurements in tables, by name."""

UNITS: dict[str, dict[str, str]] = {
    "ko": {
        "nats per image": "이미지당 nat",
        "nats": "nat",
        "share": "비율",
        "per pixel": "픽셀당",
        "squared feature distance": "특징 공간의 제곱 거리",
        "standard deviations of all codes": "전체 코드의 표준편차",
        "variances of all decodes": "전체 디코딩의 분산",
        "dimensions": "차원",
        "s": "초",
    }
}
"""Their units."""

ERRORS: dict[str, dict[str, str]] = {
    "ko": {
        "test images": "테스트 이미지",
        "samples": "표본",
        "samples and test images": "표본과 테스트 이미지",
        "midpoints and test images": "중간점과 테스트 이미지",
        "draws": "추출",
    }
}
"""What their standard errors are over."""

NOTES: dict[str, dict[str, str]] = {
    "ko": {
        r"one seed: no interval, no verdict": "시드가 하나라 구간도 판정도 없음",
        r"the (\S+) does not reconstruct: it gains (-?\d+) % of what the best gains": (
            r"\1가 재구성하지 못함: 가장 좋은 모델이 얻는 것의 \2 %"
        ),
        r"(\d+) % of the (\S+)’s reconstructions are implausible": r"\2 재구성의 \1 %가 그럴듯하지 않음",
        r"a run has no finite number": "유한한 수치가 없는 학습이 있음",
        r"differs, by less than matters": "차이는 있으나 의미를 두기에 작음",
        r"not after the correction": "보정하면 유의하지 않음",
        r"about (\d+) seeds would resolve it": r"시드가 약 \1개면 판정 가능",
        r"over (\d+) seeds would resolve it": r"판정하려면 시드가 \1개 넘게 필요",
    }
}
"""Regular expressions of the parts of a verdict's note, which a semicolon separates."""

FIGURES: dict[str, dict[str, str]] = {
    "ko": {
        "hero": "한눈에 보기",
        "training_curves": "학습 곡선",
        "sweep": "설정에 따른 변화",
        "dose_response": "KL 가중치의 효과",
        "rate_distortion": "KL 가중치에 따른 레이트와 왜곡",
        "heat_maps": "잠재 차원과 KL 가중치",
        "kl_per_dimension": "잠재 차원별 쿨백-라이블러 발산",
        "latent_space": "잠재 공간",
        "posteriors": "사후분포: 점과 분포",
        "plausibility": "잠재 평면에서 그럴듯한 이미지",
        "holes": "잠재 평면의 빈 곳",
        "reconstructions": "원본과 재구성",
        "manifold": "디코더의 다양체",
        "manifold_by_kl_weight": "KL 가중치에 따른 디코더의 다양체",
        "samples": "N(0, I)의 표본",
        "samples_by_kl_weight": "KL 가중치에 따른 N(0, I)의 표본",
        "samplers": "다섯 가지 분포의 표본",
        "ladder": "코드에 대해 알아야 하는 것",
        "interpolations": "보간",
        "traversals": "한 차원씩 이동하기",
    }
}
"""The titles of figures, by name."""
